// Charts over the tables that follow them: the table's rows are the data, its links are where a
// click on a bar or point leads.  Chart.js draws on a canvas, and needs no inline style or script.

const { Chart } = window;
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const UNITS = ["B", "kB", "MB", "GB", "TB"];
const LONGEST_NAME = 26;

// For the axes, whose numbers are round; all others are the words of the table.
function words(unit, value) {
  if (unit === "bytes") {
    let power = 0;
    for (; value >= 1000 && power < UNITS.length - 1; power += 1) value /= 1000;
    return `${Number(value.toPrecision(3))} ${UNITS[power]}`;
  }
  if (unit === "seconds") {
    return value < 100 ? `${Number(value.toPrecision(2))} s` : `${Number((value / 60).toPrecision(2))} min`;
  }
  return value.toLocaleString("en-GB");
}

function read(figure) {
  const rows = [...figure.querySelectorAll("tbody tr")];
  const columns = [...figure.querySelectorAll("thead th.number")].map((cell) => cell.textContent);
  const cells = rows.map((row) => [...row.querySelectorAll("td")]);
  return {
    labels: rows.map((row) => row.querySelector("th").textContent),
    links: rows.map((row) => row.querySelector("a").href),
    texts: cells.map((row) => row.map((cell) => cell.textContent)),
    series: columns.map((label, at) => ({ label, data: cells.map((row) => Number(row[at].dataset.value)) })),
  };
}

const shortened = (words) => (words.length > LONGEST_NAME ? `${words.slice(0, LONGEST_NAME - 1)}…` : words);

const numbersAtTheEnds = {
  id: "numbersAtTheEnds",
  afterDatasetsDraw({ ctx, canvas }) {
    const chart = Chart.getChart(canvas);
    const { texts } = chart.config.data;
    ctx.save();
    ctx.fillStyle = style("--quiet");
    ctx.font = `${Chart.defaults.font.size}px ${Chart.defaults.font.family}`;
    ctx.textBaseline = "middle";
    chart.getDatasetMeta(0).data.forEach(({ x, y }, at) => ctx.fillText(texts[at][0], x + 8, y));
    ctx.restore();
  },
};

function options(figure, { labels, links, texts, series }) {
  const { chart: kind, unit } = figure.dataset;
  const lying = kind === "shares";
  const numbers = {
    beginAtZero: true,
    border: { display: false },
    grid: { color: style("--line"), drawTicks: false },
    ticks: { color: style("--quiet"), maxTicksLimit: 5, padding: 8, precision: 0, callback: (value) => words(unit, value) },
  };
  const names = {
    border: { display: !lying, color: style("--line") },
    grid: { display: false },
    ticks: { color: style(lying ? "--text" : "--quiet"), maxRotation: 0, autoSkip: !lying, autoSkipPadding: 24 },
  };
  // Lying bars end in their number; an axis would say it twice.
  if (lying) {
    numbers.display = false;
    names.ticks.callback = (_value, at) => shortened(labels[at]);
  }
  return {
    animation: false,
    layout: { padding: { right: lying ? 64 : 0 } },
    responsive: true,
    maintainAspectRatio: false,
    indexAxis: lying ? "y" : "x",
    interaction: { mode: "index", intersect: false, axis: lying ? "y" : "x" },
    scales: lying ? { x: numbers, y: names } : { x: names, y: numbers },
    onHover: (event, found) => (event.native.target.style.cursor = found.length ? "pointer" : "default"),
    onClick: (_event, found) => found.length && location.assign(links[found[0].index]),
    plugins: {
      legend: { display: series.length > 1, align: "end", labels: { color: style("--text"), boxWidth: 12, boxHeight: 2 } },
      tooltip: {
        backgroundColor: style("--text"),
        titleColor: style("--surface"),
        bodyColor: style("--surface"),
        displayColors: false,
        callbacks: { label: ({ dataIndex, datasetIndex, dataset }) => `${dataset.label}: ${texts[dataIndex][datasetIndex]}` },
      },
    },
  };
}

function draw(figure) {
  const found = read(figure);
  const line = figure.dataset.chart === "line";
  const colours = [style("--accent-strong"), style("--held")];
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  const datasets = found.series.map((series, at) => ({
    ...series,
    backgroundColor: colours[at],
    borderColor: colours[at],
    borderWidth: line ? 2 : 0,
    borderRadius: 2,
    maxBarThickness: 14,
    pointRadius: found.labels.length > 20 ? 0 : 3,
  }));
  return new Chart(figure.querySelector("canvas"), {
    type: line ? "line" : "bar",
    data: { labels: found.labels, texts: found.texts, datasets },
    options: options(figure, found),
    plugins: figure.dataset.chart === "shares" ? [numbersAtTheEnds] : [],
  });
}

const figures = [...document.querySelectorAll("[data-chart]")];
let charts = figures.map(draw);

new MutationObserver(() => {
  for (const chart of charts) chart.destroy();
  charts = figures.map(draw);
}).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
