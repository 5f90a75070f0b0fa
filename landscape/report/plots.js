// Panels that answer to the pointer, in place of their still drawings; the drawings stay for print.
const CONFIG = JSON.parse(document.getElementById("plotly-config").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");

// A colour of the figures is a property of the page, which knows its theme.
function themed(_, value) {
  if (typeof value !== "string" || !/^#[0-9a-f]{6}$/i.test(value)) return value;
  const property = "--c-" + value.slice(1).toLowerCase();
  return getComputedStyle(document.documentElement).getPropertyValue(property).trim() || value;
}

for (const box of document.querySelectorAll(".live")) {
  const text = box.querySelector("script").textContent;
  const panels = box.querySelectorAll(".panel");
  const choices = [...box.querySelectorAll("input")];
  const draw = () => {
    const hidden = choices.filter((choice) => !choice.checked).map((choice) => choice.value);
    JSON.parse(text, themed).forEach((figure, i) => {
      for (const trace of figure.data) trace.visible = !hidden.includes(trace.meta);
      Plotly.react(panels[i], figure.data, figure.layout, CONFIG);
    });
  };
  box.closest("figure").classList.add("drawn");
  draw();
  for (const choice of choices) choice.addEventListener("change", draw);
  dark.addEventListener("change", draw);
  document.addEventListener("theme", draw);
}
