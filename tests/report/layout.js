({
  // Every line of text that is seen: its box, size and colours.
  texts() {
    const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const skipped = "script, style, noscript, .scene, .top, .drawing";
    const clear = (e) => /rgba\(0, 0, 0, 0\)|transparent/.test(getComputedStyle(e).backgroundColor);
    while (walker.nextNode()) {
      const node = walker.currentNode, parent = node.parentElement;
      if (!node.data.trim() || parent.closest(skipped) || !parent.checkVisibility()) continue;
      let back = parent;
      while (back && clear(back)) back = back.parentElement;
      const style = getComputedStyle(parent), range = document.createRange();
      range.selectNodeContents(node);
      for (const { left, right, top, bottom, width } of range.getClientRects()) {
        if (width < 1) continue;
        found.push({
          text: node.data.trim().slice(0, 40), left, right, top: top + scrollY, bottom: bottom + scrollY,
          size: parseFloat(style.fontSize), scrolls: !!parent.closest(".scroll"),
          colour: parent instanceof SVGElement ? style.fill : style.color,
          paper: getComputedStyle(back ?? document.body).backgroundColor,
        });
      }
    }
    return found;
  },

  // Where the first figures end, what is too wide, where the navigation leads.
  places() {
    const bottom = (query) => document.querySelector(query)?.getBoundingClientRect().bottom ?? null;
    const shown = (query) => {
      const e = document.querySelector(query);
      return e && getComputedStyle(e).display !== "none";
    };
    const page = document.documentElement;
    const cut = (e) => e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1
      && getComputedStyle(e).overflowX !== "visible" && !e.closest(".scroll, .scene, svg, select");
    const links = [...document.querySelectorAll(".side a, .menu a")].map((a) => a.hash.slice(1));
    return {
      figure: bottom("#dots"), tiles: bottom("#tiles .tiles"), side: shown(".side"), menu: shown(".menu"),
      over: page.scrollWidth - page.clientWidth, links,
      wide: [...document.querySelectorAll("main *")].filter(cut).map((e) => e.outerHTML.slice(0, 80)),
      dead: links.filter((id) => !document.getElementById(id)),
    };
  },

  // Colours of the roles, how many curves of each chart are not pale, which dots are filled.
  colours() {
    const value = (e, name) => getComputedStyle(e).getPropertyValue(name).trim();
    const probe = document.body.appendChild(document.createElement("i"));
    const roles = {};
    for (const name of ["--low", "--high", "--base", "--ink", "--muted"]) {
      probe.style.color = `var(${name})`;
      roles[name] = getComputedStyle(probe).color;
    }
    probe.remove();
    const pale = value(document.body, "--pale");
    const lit = (group) => [...group.querySelectorAll(".stroke, .mark")].some((m) => value(m, "--c") !== pale);
    return {
      paper: getComputedStyle(document.body).backgroundColor, roles,
      lit: [...document.querySelectorAll(".live:not([data-coloured]) .panel svg")].map((svg) =>
        [...svg.querySelectorAll("g[data-m]:not([data-m=''])")].filter(lit).length),
      filled: [...document.querySelectorAll(".cell")].map((cell) => {
        const dot = cell.querySelector(".dot"), style = dot && getComputedStyle(dot);
        return [cell.className.split(" ")[1], dot ? style.backgroundColor === style.color : null];
      }),
    };
  },
})
