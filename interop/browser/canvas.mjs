// The canvas of the example `drawing`.

/** Whether there is colour at a place of the window. Runs in the page. */
export function isPainted([x, y]) {
  const canvas = document.getElementById("canvas");
  const box = canvas.getBoundingClientRect();
  const at = [(x - box.left) / box.width, (y - box.top) / box.height];
  const [red, green, blue, alpha] = canvas
    .getContext("2d")
    .getImageData(Math.round(at[0] * canvas.width), Math.round(at[1] * canvas.height), 1, 1).data;
  return alpha > 0 && red + green + blue > 0;
}
