"use strict";
(() => {
  const plots = JSON.parse(document.getElementById("data").textContent);
  const figure = document.getElementById("figure"), svg = figure.querySelector("svg"), tip = document.getElementById("tip");
  const make = (name, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    node.style.pointerEvents = "none";
    return svg.appendChild(node);
  };
  const ring = make("circle", {r: 5, fill: "none", "stroke-width": 2, visibility: "hidden"});
  const rule = make("path", {stroke: "currentColor", "stroke-opacity": 0.35, visibility: "hidden"});
  let shown = null;

  const hide = () => { shown = null; tip.hidden = true; for (const n of [ring, rule]) n.setAttribute("visibility", "hidden"); };
  const show = (plot, series, index) => {
    shown = {plot, series, index};
    const {name, color, points} = series, [x, y, ...lines] = points[index], [left, top, width, height] = plot.area;
    ring.setAttribute("cx", x), ring.setAttribute("cy", y), ring.setAttribute("stroke", color), ring.setAttribute("visibility", "visible");
    rule.setAttribute("d", `M${x} ${top}V${top + height}M${left} ${y}H${left + width}`), rule.setAttribute("visibility", "visible");
    tip.replaceChildren();
    const line = (text, strong) => { const row = document.createElement("div"); row.textContent = text; if (strong) row.className = "name"; tip.append(row); };
    if (name) line(name, true), tip.firstChild.style.borderColor = color;
    lines.forEach(text => line(text));
    tip.hidden = false;
    const page = svg.getBoundingClientRect(), view = svg.viewBox.baseVal, scale = page.width / view.width;
    const px = page.left + x * scale, py = page.top + y * scale, box = tip.getBoundingClientRect();
    tip.style.left = (px + 14 + box.width > innerWidth ? px - 14 - box.width : px + 14) + scrollX + "px";
    tip.style.top = Math.max(2, py - box.height - 10) + scrollY + "px";
  };

  svg.addEventListener("pointermove", event => {
    const page = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / page.width;
    const x = (event.clientX - page.left) * scale, y = (event.clientY - page.top) * scale;
    let best = null, least = 40 * 40;
    for (const plot of plots) {
      const [left, top, width, height] = plot.area;
      if (x < left || x > left + width || y < top || y > top + height) continue;
      for (const series of plot.series) {
        const reach = series.cell ? 1e9 : least;
        series.points.forEach(([px, py], index) => {
          const far = (px - x) ** 2 + (py - y) ** 2;
          if (far < (best && !best.series.cell ? least : reach) && (!best || far < best.far)) best = {plot, series, index, far};
        });
      }
    }
    if (best) show(best.plot, best.series, best.index); else hide();
  });
  svg.addEventListener("pointerleave", hide);

  // Arrow keys: left and right along a series, up and down to the next.
  figure.addEventListener("keydown", event => {
    const all = plots.flatMap(plot => plot.series.filter(s => s.points.length).map(series => ({plot, series})));
    if (event.key === "Escape") return hide();
    if (!all.length || !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    if (!shown) return show(all[0].plot, all[0].series, 0);
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key], at = all.findIndex(s => s.series === shown.series);
    if (step) return show(shown.plot, shown.series, Math.min(Math.max(shown.index + step, 0), shown.series.points.length - 1));
    const next = all[(at + (event.key === "ArrowDown" ? 1 : all.length - 1)) % all.length];
    show(next.plot, next.series, Math.min(shown.index, next.series.points.length - 1));
  });
})();
