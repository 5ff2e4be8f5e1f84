/** A clock that steps through the text while it plays; slower where motion is to be reduced. */

export function createPlayer(step) {
  let timer = null;
  const period = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? 1200 : 550);
  return {
    set(isPlaying) {
      clearInterval(timer);
      timer = isPlaying ? setInterval(step, period()) : null;
    },
  };
}
