"""landscape report: the page of a study, made again."""

from types import SimpleNamespace


def test_the_page_is_the_last_line(landscape, monkeypatch, tmp_path):
    monkeypatch.setattr("landscape.study.study.Study", lambda folder: SimpleNamespace(path=folder))
    monkeypatch.setattr("landscape.study.study.report", lambda folder: folder / "report.html")
    answer = landscape("report", tmp_path)
    assert answer.last_line == str(tmp_path / "report.html") and "100% report\n" in answer.out
    assert landscape("report", tmp_path, "-q").out == f"{tmp_path}/report.html\n"
    answer = landscape("report", tmp_path, "--json").out
    assert answer == f'{{"report": "{tmp_path}/report.html"}}\n'


def test_a_report_needs_a_study(refused, tmp_path):
    (line,) = refused("report", tmp_path)
    assert line == f"{tmp_path} is not a study: it has no study.json."
