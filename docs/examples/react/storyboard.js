// The storyboard's map: WebVTT with one rectangle of the sheet for each time.

const CUE = /([\d:.]+) --> ([\d:.]+)\s+(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)/g;

/** Cues as {from, to, sheet, x, y, width, height}: seconds, address, pixels. */
export async function fetchStoryboard(address) {
  const answer = await fetch(address);
  if (!answer.ok) return [];
  const text = await answer.text();
  return [...text.matchAll(CUE)].map(([, from, to, sheet, x, y, width, height]) => ({
    from: seconds(from),
    to: seconds(to),
    sheet: new URL(sheet, answer.url).href,
    x: Number(x),
    y: Number(y),
    width: Number(width),
    height: Number(height),
  }));
}

function seconds(time) {
  return time.split(":").reduce((total, part) => 60 * total + Number(part), 0);
}
