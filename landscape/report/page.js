// The page itself: theme, menu, where one is, and folds that open for who comes to them.
const root = document.documentElement;
document.getElementById("theme")?.addEventListener("click", () => {
  const dark = (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  root.dataset.theme = dark ? "light" : "dark";
  document.dispatchEvent(new Event("theme"));
});

// A link leads to a place also where that is folded; the first fold of a part without an open figure opens.
function unfold(id) {
  const place = id && document.getElementById(decodeURIComponent(id));
  if (!place) return;
  for (let box = place; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
  const first = place.firstElementChild;
  if (first?.tagName === "DETAILS") first.open = true;
}
addEventListener("hashchange", () => unfold(location.hash.slice(1)));
unfold(location.hash.slice(1));

const menu = document.querySelector(".menu");
for (const link of document.querySelectorAll(".side a, .menu a")) {
  link.addEventListener("click", () => {
    unfold(link.hash.slice(1));
    if (menu) menu.open = false;
  });
}

const links = [...document.querySelectorAll(".side a")];
function mark() {
  const above = links.filter((link) => document.getElementById(link.hash.slice(1))?.getBoundingClientRect().top < 140);
  const here = above.at(-1) ?? links[0];
  for (const link of links) link.setAttribute("aria-current", String(link === here));
}
addEventListener("scroll", mark, { passive: true });
mark();

// Paper cannot be opened.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
