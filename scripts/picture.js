/**
 * Draws pictures of `kuma top` as SVG, from the cells of a real run on a pseudo-terminal: `npm run picture`. A daemon
 * records flights meanwhile, as `kuma demo --live` does.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { environment } from '../test/cli.ts'
import { KEYS, PseudoTerminal } from '../test/pseudo-terminal.ts'

const SIZE = { columns: 110, rows: 28 }
const WATCH_MS = 25_000
const RATE = 3_000
const [CELL_WIDTH, CELL_HEIGHT, FONT_SIZE, MARGIN] = [8.4, 18, 14, 14]
const BACKGROUND = '#101418'
const FOREGROUND = '#d4d7da'
/** The sixteen colours of a terminal. */
const PALETTE = [
  ...['#3b4252', '#e06c75', '#8fce72', '#e5c07b', '#61afef', '#c678dd', '#56c2d6', '#d4d7da'],
  ...['#5c6370', '#ff7b86', '#a5e887', '#f5d08a', '#7cc0ff', '#dd93f0', '#6fdcf0', '#ffffff'],
]

const root = join(import.meta.dirname, '..')
const binary = join(root, 'bin', 'run.js')

const demo = spawn(process.execPath, [binary, 'demo', '--live', '--rate', String(RATE)], { env: environment() })
try {
  let said = ''
  while (!said.includes('Ctrl-C')) said += String((await once(demo.stdout, 'data'))[0])
  const store = /--dir (\S+)/.exec(said)[1]
  const words = [process.execPath, binary, 'top', '--interval', '500ms'].map((word) => `'${word}'`)
  const terminal = new PseudoTerminal(`exec ${words.join(' ')}`, SIZE, { cwd: join(store, '..') })
  await terminal.sees('1 actors')
  await setTimeout(WATCH_MS)
  draw(terminal, 'top.svg')
  terminal.type(KEYS.enter)
  await terminal.sees(/v\d+ live/)
  terminal.type(KEYS.left)
  await terminal.sees(/v\d+ of \d+/)
  draw(terminal, 'top-actor.svg')
  terminal.type('q')
  await terminal.ended
} finally {
  demo.kill('SIGINT')
}

function draw(terminal, name) {
  const file = join(root, 'fixtures', name)
  writeFileSync(file, svg(terminal.screen))
  console.log(file)
}

function svg({ buffer, cols, rows }) {
  const width = Math.ceil(cols * CELL_WIDTH + 2 * MARGIN)
  const height = Math.ceil(rows * CELL_HEIGHT + 2 * MARGIN)
  const pieces = Array.from({ length: rows }, (_, row) =>
    runs(buffer.active.getLine(row), cols).map((run) => piece(run, row)),
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title>kuma top</title>
<style>text { font: ${FONT_SIZE}px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre }</style>
<rect width="${width}" height="${height}" rx="8" fill="${BACKGROUND}"/>
${pieces.flat().filter(Boolean).join('\n')}
</svg>
`
}

/** Cells of one look that stand side by side. */
function runs(line, columns) {
  const found = []
  for (let column = 0; column < columns; column++) {
    const cell = line.getCell(column)
    if (cell.getWidth() === 0) continue // the second half of a wide one
    const look = lookOf(cell)
    const last = found.at(-1)
    const same = last !== undefined && JSON.stringify(last.look) === JSON.stringify(look)
    if (same) last.text += cell.getChars() || ' '
    else found.push({ column, look, text: cell.getChars() || ' ', width: 0 })
    found.at(-1).width += cell.getWidth()
  }
  return found
}

function lookOf(cell) {
  const color = (isDefault, isPalette, value, other) =>
    isDefault ? other : isPalette ? PALETTE[value % 16] : `#${value.toString(16).padStart(6, '0')}`
  const front = color(cell.isFgDefault(), cell.isFgPalette(), cell.getFgColor(), FOREGROUND)
  const back = color(cell.isBgDefault(), cell.isBgPalette(), cell.getBgColor(), BACKGROUND)
  const [fill, ground] = cell.isInverse() ? [back, front] : [front, back]
  return { fill, ground, bold: cell.isBold() !== 0, dim: cell.isDim() !== 0, underline: cell.isUnderline() !== 0 }
}

function piece({ column, look, text, width }, row) {
  const [x, y] = [MARGIN + column * CELL_WIDTH, MARGIN + row * CELL_HEIGHT]
  const wide = (width * CELL_WIDTH).toFixed(1)
  const ground =
    look.ground === BACKGROUND
      ? ''
      : `<rect x="${x.toFixed(1)}" y="${y}" width="${wide}" height="${CELL_HEIGHT}" fill="${look.ground}"/>`
  if (text.trim() === '') return ground
  const style = [
    look.bold && ' font-weight="bold"',
    look.dim && ' opacity="0.6"',
    look.underline && ' text-decoration="underline"',
  ]
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  return `${ground}<text x="${x.toFixed(1)}" y="${y + FONT_SIZE - 1}" textLength="${wide}" fill="${look.fill}"${style.filter(Boolean).join('')}>${escaped}</text>`
}
