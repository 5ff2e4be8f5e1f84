/** A view as curl, Python, SVG or PNG. */
import { svg } from "./dom.js";

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export function curl(question, hasKey) {
  const key = hasKey ? ` -H "x-api-key: $GATESCOPE_API_KEY"` : "";
  const address = new URL(question.path, document.baseURI);
  return `curl -s ${address} -H 'content-type: application/json'${key} -d ${quoted(JSON.stringify(question.body))}`;
}

export function python(question, hasKey) {
  const address = new URL(question.path, document.baseURI);
  const key = hasKey ? `, headers={"x-api-key": os.environ["GATESCOPE_API_KEY"]}` : "";
  return [
    ...(hasKey ? ["import os", ""] : []),
    "import httpx",
    "",
    `answer = httpx.post(${JSON.stringify(String(address))}, json=${literal(question.body)}${key})`,
    "print(answer.json())",
  ].join("\n");
}

/** JSON as a Python literal. */
function literal(value) {
  if (value === null) return "None";
  if (value === true || value === false) return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${literal(item)}`).join(", ")}}`; // prettier-ignore
}

const COPIED = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linejoin",
  "stroke-linecap", "opacity", "font-size", "font-family", "font-weight", "text-anchor",
]; // prettier-ignore

/** All drawings of a view below one another, in one SVG that needs no style sheet. */
export function picture(view) {
  const pieces = [...view.querySelectorAll("svg:not(.legend, .icon), canvas.heat")];
  const areas = pieces.map((piece) => piece.getBoundingClientRect());
  const width = Math.ceil(Math.max(...areas.map((area) => area.width))) + 24;
  const title = view.querySelector("h2, h3")?.textContent ?? "";
  let y = title ? 34 : 12;
  const style = getComputedStyle(document.documentElement);
  const whole = svg("svg", { xmlns: "http://www.w3.org/2000/svg", width });
  const ground = svg("rect", { width: "100%", height: "100%", fill: style.getPropertyValue("--card") });
  whole.append(ground);
  if (title) whole.append(svg("text", { x: 12, y: 22, fill: style.getPropertyValue("--ink"), "font-family": "sans-serif", "font-size": 14 }, title));
  pieces.forEach((piece, n) => {
    whole.append(placed(piece, areas[n], y));
    y += Math.ceil(areas[n].height) + 6;
  });
  whole.setAttribute("height", y + 6);
  whole.setAttribute("viewBox", `0 0 ${width} ${y + 6}`);
  return whole;
}

function placed(piece, area, y) {
  const place = { x: 12, y, width: area.width, height: area.height };
  if (piece instanceof HTMLCanvasElement) return svg("image", { ...place, href: piece.toDataURL() });
  const copy = piece.cloneNode(true);
  const originals = [piece, ...piece.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, n) => {
    const computed = getComputedStyle(originals[n]);
    for (const name of COPIED) element.setAttribute(name, computed.getPropertyValue(name));
    for (const name of ["class", "tabindex", "role", "aria-pressed"]) element.removeAttribute(name);
  });
  for (const [name, value] of Object.entries(place)) copy.setAttribute(name, value);
  return copy;
}

export function saveSvg(view, name) {
  const text = new XMLSerializer().serializeToString(picture(view));
  download(new Blob([text], { type: "image/svg+xml" }), `${name}.svg`);
}

export async function savePng(view, name) {
  const drawn = picture(view);
  const address = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(drawn)], { type: "image/svg+xml" }));
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 2 * image.width;
  canvas.height = 2 * image.height;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(address);
  download(await new Promise((done) => canvas.toBlob(done, "image/png")), `${name}.png`);
}

function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
