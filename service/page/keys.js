/** The keyboard: left and right step through the text, space plays. Fields and sliders keep their own keys. */

const OWN = "input, textarea, select, [role=slider], [role=menu], [contenteditable]";

export function listenToKeys(act) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.(OWN)) return;
    if (event.key === "ArrowRight") act.move(1);
    else if (event.key === "ArrowLeft") act.move(-1);
    else if (event.key === " " && !event.target.closest?.("button, a, [role=button]")) act.play();
    else return;
    event.preventDefault();
  });
}
