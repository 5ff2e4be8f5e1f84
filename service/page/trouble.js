/** Errors in words, where the answer would stand; a busy server is asked again when it said so. */
import { find, html, replace } from "./dom.js";
import { has, words } from "./words.js";

let waiting;

export function drawProblem(problem, again, client) {
  const place = find("#problem");
  clearTimeout(waiting);
  find("#main").classList.toggle("failed", Boolean(problem));
  place.hidden = !problem;
  find("#key").hidden = problem?.status !== 401;
  if (!problem) return;
  const lines = [has(`problem_${problem.type}`) ? html("b", {}, words(`problem_${problem.type}`)) : null, " ", problem.message === "HTTP 0" ? "" : problem.message];
  if (problem.retryAfterMs && again) {
    lines.push(" ", words("retry", { seconds: Math.max(1, Math.ceil(problem.retryAfterMs / 1000)) }));
    waiting = setTimeout(again, problem.retryAfterMs);
  }
  replace(place, ...lines);
  if (problem.status === 401) askForKey(again, client);
}

function askForKey(again, client) {
  const field = find("#key-value");
  find("#key").onsubmit = (event) => {
    event.preventDefault();
    client.setKey(field.value);
    field.value = "";
    again();
  };
}
