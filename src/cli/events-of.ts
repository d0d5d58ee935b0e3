/** The events of `kuma append`, and the data of `kuma execute`, from its words or from stdin. */
import type { UncheckedEvent } from '../engine.ts'
import type { Meta } from '../entity/event.ts'
import { instantOf } from '../entity/instant.ts'
import type { JsonObject } from '../entity/json.ts'
import { isKumaError, KumaError } from '../errors.ts'
import { parseData, parseObject, usage } from './event-data.ts'
import { readStdin } from './stdin.ts'

const STDIN = '-'
const ON_STDIN = 'the data on stdin'
const FIELDS = ['type', 'data', 'meta', 'at']

/** @throws KUMA_USAGE, KUMA_INVALID_DATA */
export async function eventsOf(
  type: string,
  words: readonly string[],
  at: number | undefined,
): Promise<UncheckedEvent[]> {
  if (type === STDIN) {
    if (words.length > 0) throw usage('with - in the place of TYPE the events come from stdin, and DATA has no place')
    return parseLines(await readStdin('what came on stdin'), at)
  }
  return [{ type, data: await dataOf(words), at }]
}

/** Of one event, or of a command. @throws KUMA_USAGE, KUMA_INVALID_DATA */
export async function dataOf(words: readonly string[]): Promise<JsonObject> {
  if (words.length === 1 && words[0] === STDIN) return parseObject(await readStdin(ON_STDIN), ON_STDIN)
  return parseData(words)
}

function parseLines(text: string, at: number | undefined): UncheckedEvent[] {
  const events: UncheckedEvent[] = []
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    try {
      events.push(parseEvent(line, at))
    } catch (error) {
      if (!isKumaError(error)) throw error
      throw new KumaError('KUMA_INVALID_DATA', `line ${i + 1}: ${error.message}; nothing was recorded`, { path: '' })
    }
  }
  return events
}

function parseEvent(line: string, defaultAt: number | undefined): UncheckedEvent {
  const { type, data, meta, at, ...unknown } = parseObject(line, 'the event')
  const [field] = Object.keys(unknown)
  if (field !== undefined) throw usage(`unknown field ${JSON.stringify(field)}: an event has ${FIELDS.join(', ')}`)
  if (typeof type !== 'string') throw usage('the event has no type')
  return { type, data, meta: meta as Meta, at: at === undefined ? defaultAt : instantOf(at, 'at') }
}
