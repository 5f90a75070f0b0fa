// Tables are sorted by the buttons in their headers; what is no number, or missing, comes last.
const number = (text) => parseFloat(text.trim().replace("−", "-").replace(/^(< |\+)/, "").replaceAll(",", ""));

function sort(table, column, down) {
  const body = table.tBodies[0];
  const cell = (row) => row.cells[column].firstChild?.textContent.trim() || row.cells[column].textContent.trim();
  const rows = [...body.rows].map((row) => ({ row, text: cell(row), value: number(cell(row)) }));
  rows.sort((a, b) => {
    if (isNaN(a.value) && isNaN(b.value)) return (down ? -1 : 1) * a.text.localeCompare(b.text);
    if (isNaN(a.value) || isNaN(b.value)) return isNaN(a.value) ? 1 : -1;
    return down ? b.value - a.value : a.value - b.value;
  });
  body.append(...rows.map(({ row }) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(table, column, down);
    });
  });
}
