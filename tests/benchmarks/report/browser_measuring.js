// Measures the page in the frame: what loads, what runs, what is clipped, covered or faint.
const frame = document.getElementById("page");

function channels(text) {
  const found = text.match(/[\d.]+/g).map(Number);
  return { rgb: found.slice(0, 3), alpha: found.length > 3 ? found[3] : 1 };
}

function luminance(rgb) {
  const linear = rgb.map((c) => {
    const share = c / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

function background(element) {
  for (let each = element; each; each = each.parentElement) {
    const found = channels(getComputedStyle(each).backgroundColor);
    if (found.alpha === 1) return found.rgb;
  }
  return [255, 255, 255];
}

function contrast(element, colour) {
  const [high, low] = [luminance(channels(colour).rgb), luminance(background(element))].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

function name(element) {
  return element.textContent.trim().slice(0, 60);
}

function drawn(svg) {
  const box = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].filter((t) => t.textContent);
  const boxes = texts.map((t) => t.getBoundingClientRect());
  const clipped = texts.filter((_, i) => {
    const own = boxes[i];
    return own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1 || own.bottom > box.bottom + 1;
  });
  const covered = [];
  for (let i = 0; i < boxes.length; i++) {
    for (let k = i + 1; k < boxes.length; k++) {
      const wide = Math.min(boxes[i].right, boxes[k].right) - Math.max(boxes[i].left, boxes[k].left);
      const high = Math.min(boxes[i].bottom, boxes[k].bottom) - Math.max(boxes[i].top, boxes[k].top);
      // A line's box is higher than its letters.
      if (wide > 1 && high > 0.35 * Math.min(boxes[i].height, boxes[k].height)) covered.push([name(texts[i]), name(texts[k])]);
    }
  }
  return { clipped: clipped.map(name), covered, smallest: Math.min(...boxes.map((b) => b.height)) };
}

frame.addEventListener("load", () => {
  const page = frame.contentDocument;
  const shown = [...page.querySelectorAll("h1, h2, h3, p, td, th, figcaption, li, summary, svg text")].filter(
    (e) => e.textContent.trim() && e.getBoundingClientRect().height > 0
  );
  const faint = shown
    .map((e) => [name(e), contrast(e, e.closest("svg") ? getComputedStyle(e).fill : getComputedStyle(e).color)])
    .filter(([, ratio]) => ratio < 4.5);
  const drawings = [...page.querySelectorAll("svg")].map(drawn);
  const root = page.documentElement;
  document.getElementById("found").textContent = JSON.stringify({
    dark: frame.contentWindow.matchMedia("(prefers-color-scheme: dark)").matches,
    width: root.clientWidth,
    overflow: root.scrollWidth - root.clientWidth,
    wide: [...page.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest("figure.wide svg")).map((e) => `${e.tagName}.${e.className} ${name(e)}`).slice(0, 5),
    loaded: frame.contentWindow.performance.getEntriesByType("resource").map((e) => e.name),
    title: page.title,
    outer: document.title,
    ran: Boolean(frame.contentWindow.ran || window.ran),
    drawings: drawings.length,
    clipped: drawings.flatMap((d) => d.clipped),
    covered: drawings.flatMap((d) => d.covered),
    smallest: Math.min(...drawings.map((d) => d.smallest)),
    faint,
    cut: [...page.querySelectorAll(".scroll")].filter((e) => e.scrollWidth > e.clientWidth + 1 && e.tabIndex !== 0).map(name),
    table_overflow: Math.max(0, ...[...page.querySelectorAll("div.scroll > table")].map((e) => e.scrollWidth - e.parentElement.clientWidth)),
  });
});
