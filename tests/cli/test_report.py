"""landscape report: the page of a study, made again."""


def test_the_page_is_the_last_line(landscape, monkeypatch, tmp_path):
    monkeypatch.setattr("landscape.study.report", lambda folder: folder / "report.html")
    assert landscape("report", tmp_path).last_line == str(tmp_path / "report.html")
    answer = landscape("report", tmp_path, "--json").out
    assert answer == f'{{"report": "{tmp_path}/report.html"}}\n'


def test_a_report_needs_a_study(refused, tmp_path):
    (line,) = refused("report", tmp_path)
    assert line == f"{tmp_path} is not a study: it has no study.json."
