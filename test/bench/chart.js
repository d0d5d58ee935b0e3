/**
 * The results as an SVG that needs nothing else: bars for each workload, and the curve of appends as the store grows.
 * Rows say by their `chart` in which panels they stand, under which label, and how many events were stored before.
 */
import { number } from './table.js'

const WIDTH = 960
const MARGIN = 32
const LABELS = 330
const BARS = WIDTH - MARGIN - LABELS - MARGIN - 110
const ROW = 44
const CURVE = { left: 110, height: 190, axis: 34 }
const INK = '#1f2933'
const FAINT = '#616e7c'
const LINE = '#e4e7eb'
const OTHERS = '#9aa5b1'
const KUMA = '#0f766e'

export function chart({ machine, rounds, scale, results }) {
  const rows = results.filter(({ chart, median }) => chart !== null && median !== null)
  const panels = [...new Set(rows.flatMap(({ chart }) => chart.panels))]
  const parts = []
  let y = MARGIN
  for (const panel of panels) {
    const { svg, height } = bars(panel, rows, y)
    parts.push(svg)
    y += height
  }
  const points = rows.filter(({ chart }) => chart.stored !== undefined).sort((a, b) => a.chart.stored - b.chart.stored)
  if (points.length > 1) {
    const { svg, height } = curve(points, y)
    parts.push(svg)
    y += height
  }
  for (const line of caption(machine, rounds, scale)) {
    parts.push(text(MARGIN, y, line, { size: 12, fill: FAINT }))
    y += 18
  }
  return svgOf(y + MARGIN - 18, parts)
}

function svgOf(height, parts) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif">`,
    '<title>Durable appends a second, Kuma and other stores, and as the store grows</title>',
    `<rect width="${WIDTH}" height="${height}" rx="8" fill="#ffffff"/>`, // a page may be dark
    ...parts,
    '</svg>\n',
  ].join('\n')
}

/** The fastest first. */
function bars(panel, rows, top) {
  const own = rows.filter(({ chart }) => chart.panels.includes(panel)).sort((a, b) => b.median - a.median)
  const most = own[0].median
  const svg = own.map(({ median, inFlight, sync, chart }, i) => {
    const y = top + 30 + i * ROW
    const width = Math.max(1, (median / most) * BARS)
    const left = MARGIN + LABELS
    const kuma = chart.label === 'Kuma'
    return [
      text(left - 14, y + 14, chart.label, { anchor: 'end', weight: kuma ? 700 : 400 }),
      text(left - 14, y + 29, `${number(inFlight)} in flight; ${sync}`, { anchor: 'end', size: 11, fill: FAINT }),
      `<rect x="${left}" y="${y + 4}" width="${width.toFixed(1)}" height="24" rx="2" fill="${kuma ? KUMA : OTHERS}"/>`,
      text(left + width + 8, y + 21, number(Math.round(median)), { weight: kuma ? 700 : 400 }),
    ].join('\n')
  })
  const title = text(MARGIN, top + 14, `Durable appends a second: ${panel}`, { size: 16, weight: 700 })
  return { svg: [title, ...svg].join('\n'), height: 30 + own.length * ROW + 28 }
}

/** From 0 up, so that a fall looks as large as it is. Sizes stand at equal distances. */
function curve(points, top) {
  const most = niceAbove(Math.max(...points.map(({ median }) => median)))
  const floor = top + 44 + CURVE.height
  const step = (WIDTH - CURVE.left - 2 * MARGIN - 60) / (points.length - 1)
  const xOf = (i) => (CURVE.left + 30 + i * step).toFixed(1)
  const yOf = (value) => (floor - (value / most) * CURVE.height).toFixed(1)
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const y = yOf(share * most)
    return [
      `<line x1="${CURVE.left}" x2="${WIDTH - MARGIN}" y1="${y}" y2="${y}" stroke="${LINE}"/>`,
      text(CURVE.left - 10, Number(y) + 4, number(Math.round(share * most)), { anchor: 'end', size: 11, fill: FAINT }),
    ].join('\n')
  })
  const line = points.map(({ median }, i) => `${xOf(i)},${yOf(median)}`).join(' ')
  const marks = points.map(({ median, chart }, i) =>
    [
      `<circle cx="${xOf(i)}" cy="${yOf(median)}" r="4" fill="${KUMA}"/>`,
      text(xOf(i), Number(yOf(median)) - 10, number(Math.round(median)), { anchor: 'middle', weight: 700 }),
      text(xOf(i), floor + 18, storedText(chart.stored), { anchor: 'middle', size: 12, fill: FAINT }),
    ].join('\n'),
  )
  const title = 'Kuma, 100,000 entities at random: appends a second, by events already stored'
  const svg = [
    text(MARGIN, top + 14, title, { size: 16, weight: 700 }),
    ...grid,
    `<polyline points="${line}" fill="none" stroke="${KUMA}" stroke-width="2.5"/>`,
    ...marks,
  ].join('\n')
  return { svg, height: 44 + CURVE.height + CURVE.axis + 28 }
}

function storedText(stored) {
  return stored === 0 ? 'none' : `${stored / 1e6} million`
}

/** 1, 2 or 4 times a power of ten, with room for the figure above the highest point. */
function niceAbove(value) {
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 4, 10, 20].map((n) => n * power).find((nice) => nice >= value * 1.1)
}

function caption({ cpu, cores, node, fileSystem, date }, rounds, scale) {
  return [
    `${date}: ${cpu}, ${cores} cores, ${fileSystem}, Node ${node}. Medians of ${rounds} rounds, events of about 100 bytes.`,
    'Kuma and raw SQLite: WAL, synchronous=FULL, acknowledged after fsync. The curve: 1,024 in flight, 16 shards.',
    ...(scale === 1 ? [] : [`Scale ${scale}: so short a run shows that it works, not how fast it is.`]),
  ]
}

function text(x, y, content, { size = 14, weight = 400, anchor = 'start', fill = INK } = {}) {
  const place = `x="${Number(x).toFixed(1)}" y="${Number(y).toFixed(1)}"`
  return `<text ${place} font-size="${size}" font-weight="${weight}" text-anchor="${anchor}" fill="${fill}">${escaped(content)}</text>`
}

function escaped(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
