/** Walks through an entity's history on a terminal, event by event, with arrow keys. */
import { on } from 'node:events'
import { emitKeypressEvents, type Key } from 'node:readline'
import widthOf from 'string-width'
import type { Engine } from '../engine.ts'
import { Screen } from '../tui/screen.ts'
import { changes } from './changes.ts'
import { eventLine } from './event-line.ts'
import { EXIT } from './exit-codes.ts'
import { exitCodeFor } from './interrupted.ts'
import { colors, prettyJson, visible } from './output.ts'

const HOME = '\x1b[H\x1b[J'
const PAGE = 10

/** Versions of the entity that may be shown. */
export interface Steps {
  readonly first: number
  readonly last: number
  /** shown first */
  readonly start: number
}

export async function step(engine: Engine, id: string, { first, last, start }: Steps): Promise<void> {
  const { stdin, stdout } = process
  const redraw = () => stdin.emit('keypress', '', { name: 'redraw' })
  const quit = () => stdin.emit('keypress', '', { name: 'q' })
  const onSignal = (signal: NodeJS.Signals) => {
    process.exitCode = exitCodeFor(signal)
    quit()
  }
  const screen = new Screen({ onSignal, onContinue: redraw })
  let version = start
  emitKeypressEvents(stdin)
  stdin.resume()
  screen.enter()
  const keys = on(stdin, 'keypress') // keeps those that come while a picture is made
  stdout.on('resize', redraw)
  stdin.on('end', quit)
  try {
    draw(await pictureOf(engine, id, version, last))
    for await (const [, key] of keys as AsyncIterable<[string, Key]>) {
      const next = nextVersion(key, version, { first, last })
      if (key.ctrl && key.name === 'c') process.exitCode = EXIT.interrupted
      if (next === null) return
      if (key.ctrl && key.name === 'z') screen.suspend()
      version = Math.max(first, Math.min(last, next))
      draw(await pictureOf(engine, id, version, last))
    }
  } finally {
    stdout.off('resize', redraw)
    stdin.off('end', quit)
    screen.leave()
    stdin.pause()
  }
}

/** Null to end. */
function nextVersion({ name, ctrl, sequence }: Key, version: number, { first, last }: Omit<Steps, 'start'>) {
  if (name === 'q' || name === 'escape' || (ctrl && (name === 'c' || name === 'd'))) return null
  if (['right', 'down', 'space', 'return', 'n'].includes(name ?? '')) return version + 1
  if (['left', 'up', 'backspace', 'p'].includes(name ?? '')) return version - 1
  if (name === 'pagedown') return version + PAGE
  if (name === 'pageup') return version - PAGE
  if (name === 'home' || sequence === 'g') return first
  if (name === 'end' || sequence === 'G') return last
  return version
}

/** The event, what it changed, and the state after it. */
async function pictureOf(engine: Engine, id: string, version: number, last: number): Promise<string[]> {
  const diff = await engine.diff({ id, to: { version } })
  const lines = [`${visible(id)}  v${version} of ${last}   left, right: step   home, end   q: quit`, '']
  for await (const event of engine.log({ id, from: { version }, to: { version } })) lines.push(eventLine(event))
  return [...lines, ...changes(diff).map((line) => `  ${line}`), '', ...prettyJson(diff.to.state).split('\n')]
}

/** One line less than there is room for: a full screen would scroll. */
function draw(lines: readonly string[]): void {
  const { rows, columns } = process.stdout
  const room = Math.max(1, (rows || 24) - 1) // a terminal that does not know its size says 0
  const fitting = lines.length <= room ? lines : [...lines.slice(0, room - 1), more(lines.length - room + 1)]
  process.stdout.write(HOME + fitting.map((line) => cut(line, columns || 80)).join('\n'))
}

function more(count: number): string {
  return colors(process.stdout).dim(`... ${count} lines more`)
}

/** To the width of the terminal, not counting colours. */
function cut(line: string, columns: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a colour begins with one
  const parts = line.split(/(\x1b\[\d+m)/)
  let room = columns
  return parts
    .map((part, i) => {
      if (i % 2 === 1) return part
      let kept = ''
      for (const char of part) {
        room -= widthOf(char)
        if (room < 0) break
        kept += char
      }
      return kept
    })
    .join('')
}
