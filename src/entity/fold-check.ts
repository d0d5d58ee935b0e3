/**
 * What a fold may not do, and the compiler cannot see to: change the state that it is given, which others hold too, and
 * make what JSON has no word for, so that the state would come back as another one (NaN as null, undefined not at all).
 *
 * To look for it costs more than to fold. So an engine looks at samples: the first folds of each event type, and one in a
 * thousand after that, and again until a fold keeps to it. Of a new event the fold is given a frozen state, and the event is
 * refused. What is recorded already is folded on as it always was, on a state that is not frozen, and told once for each
 * event type: code that ran yesterday must be able to read its store.
 *
 * What was in the state before, this event did not make: it may be carried on, and be moved on the way.
 */
import { shortened } from '../errors.ts'
import type { Definition } from './define-entity.ts'
import type { RecordedEvent } from './event.ts'
import { deepFreeze, evolve } from './fold.ts'
import { modelFailed, type Part } from './model.ts'

/** Of each event type, before one in `EVERY` is enough. */
const FIRST = 10
const EVERY = 1_000

/** @param problem what a fold of recorded events did that it may not do, without what may be personal */
export type ToldOfFold = (event: RecordedEvent, problem: string) => void

interface Sample {
  fresh: number
  recorded: number
  isTold: boolean
}

/** Which folds of a definition are looked at, in one engine. */
export class FoldSamples {
  private readonly byEvent = new Map<string, Sample>()

  constructor(readonly told: ToldOfFold) {}

  of(event: string): Sample {
    let sample = this.byEvent.get(event)
    if (sample === undefined) {
      sample = { fresh: 0, recorded: 0, isTold: false }
      this.byEvent.set(event, sample)
    }
    return sample
  }
}

function isDue(count: number): boolean {
  return count < FIRST || count % EVERY === 0
}

/** The state after an event that is to be recorded. @throws KUMA_MODEL_FAILED also if the fold does what it may not do */
export function evolveNew(definition: Definition, state: unknown, event: RecordedEvent): unknown {
  const sample = definition.samples?.of(event.type)
  if (sample === undefined) return evolve(definition, state, event)
  // counted when it has kept to it: what is refused is looked at again
  const next = isDue(sample.fresh) ? evolveStrictly(definition, state, event) : evolve(definition, state, event)
  sample.fresh++
  return next
}

/** The same, of whichever fold. */
export function evolveStrictly(definition: Definition, state: unknown, event: RecordedEvent): unknown {
  const next = evolve(definition, deepFreeze(state), event)
  const flaw = flawMade(state, next)
  if (flaw !== null) throw failed(definition, 'evolve', event, flaw)
  return next
}

/** The state after an event that was recorded, whatever its fold does: that is only told. */
export function evolveRecorded(definition: Definition, state: unknown, event: RecordedEvent): unknown {
  const { samples } = definition
  const sample = samples?.of(event.type)
  if (sample === undefined || sample.isTold || !isDue(sample.recorded++)) return evolve(definition, state, event)
  const before = copyOf(state)
  const next = evolve(definition, state, event)
  const isSound = before === null || before === state || isSame(before, state)
  const flaw = flawMade(before ?? state, next)
  if (isSound && flaw === null) return next
  sample.isTold = true
  samples!.told(event, isSound ? `made ${flaw!.kind} in the state` : 'changed the state that it was given')
  return next
}

/** A state that no event has made. @throws KUMA_MODEL_FAILED */
export function checkInitial(definition: Definition, state: unknown, entity: string): void {
  const flaw = flawMade(null, state)
  if (flaw !== null) throw failed(definition, 'initial', { entity, type: 'initial', version: 0 }, flaw)
}

function failed(
  definition: Definition,
  part: Part,
  about: Pick<RecordedEvent, 'entity' | 'type' | 'version'>,
  { path, kind }: Flaw,
) {
  const hint =
    kind === 'NaN'
      ? `JSON has no NaN: look for a field that is not there, or is no number, in what ${part} adds up`
      : `JSON has no undefined: ${part} must leave the field out, or set it to null`
  return modelFailed(definition, part, about, `made ${path} ${kind}`, { path, hint })
}

type Kind = 'NaN' | 'undefined'

interface Flaw {
  readonly kind: Kind
  /** a JSON Pointer */
  readonly path: string
}

const KINDS: readonly Kind[] = ['NaN', 'undefined']

/** What is in a state that JSON has no word for, and was not in the one before. */
function flawMade(before: unknown, after: unknown): Flaw | null {
  const found = findFlaw(after, before, KINDS)
  if (found === null) return null
  const made = KINDS.filter((kind) => findFlaw(before, null, [kind]) === null)
  return made.includes(found.kind) ? found : findFlaw(after, before, made)
}

interface Place {
  readonly value: object
  /** what stood there before */
  readonly before: unknown
  readonly key: string | number
  readonly around: Place | null
}

/** Parts that are those of the state before are passed over: to look costs about as much as to fold did. */
function findFlaw(state: unknown, before: unknown, kinds: readonly Kind[]): Flaw | null {
  if (state === before || !isLooked(state)) return null
  const seen = new Set<object>()
  const open: Place[] = [{ value: state, before, key: '', around: null }] // a list: a state may be deeper than the stack
  for (const around of open) {
    if (seen.has(around.value)) continue
    seen.add(around.value)
    for (const [key, value, before] of Array.isArray(around.value) ? newItems(around) : newFields(around)) {
      const kind = kindOf(value)
      if (kind !== null && kinds.includes(kind)) return { kind, path: `${pathOf(around)}/${escaped(key)}` }
      if (isLooked(value)) open.push({ value, before, key, around })
    }
  }
  return null
}

/** A part that is not what stood there before, null where nothing did. */
type Changed = readonly [key: string | number, value: unknown, before: unknown]

function* newFields({ value, before }: Place): Generator<Changed> {
  const others = (isLooked(before) ? before : {}) as Record<string, unknown>
  for (const [key, part] of Object.entries(value)) {
    const old = Object.hasOwn(others, key) ? others[key] : null
    if (!Object.is(part, old)) yield [key, part, old]
  }
}

/** Not those that only moved. What a gap holds is undefined. */
function* newItems({ value, before }: Place): Generator<Changed> {
  const others: readonly unknown[] = Array.isArray(before) ? before : []
  let known: Set<unknown> | undefined
  for (const [index, part] of (value as readonly unknown[]).entries()) {
    const old = index < others.length ? others[index] : null
    if (Object.is(part, old)) continue
    known ??= new Set(others)
    if (!isLooked(part) || !known.has(part)) yield [index, part, old]
  }
}

function kindOf(value: unknown): Kind | null {
  if (value === undefined) return 'undefined'
  return Number.isNaN(value) ? 'NaN' : null
}

/** Not what says itself how JSON writes it, nor bytes. */
function isLooked(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !('toJSON' in value)
}

function pathOf(place: Place): string {
  let path = ''
  for (let at: Place = place; at.around !== null; at = at.around) path = `/${escaped(at.key)}${path}`
  return path
}

function escaped(key: string | number): string {
  return shortened(String(key)).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')
}

/** Parts of a state that are copied at most: of a larger one nobody asks whether it was changed. */
const PARTS_MAX = 10_000
const DEPTH_MAX = 500

/** To compare with what becomes of it; null if it is too large. What is frozen cannot become another. */
function copyOf(state: unknown): unknown {
  let parts = 0
  const copy = (value: unknown, depth: number): unknown => {
    if (!isLooked(value) || Object.isFrozen(value)) return value
    if (++parts > PARTS_MAX || depth > DEPTH_MAX) throw TOO_LARGE
    const made: Record<string, unknown> | unknown[] = Array.isArray(value) ? [] : {}
    for (const key of Object.keys(value)) {
      if (++parts > PARTS_MAX) throw TOO_LARGE
      Object.defineProperty(made, key, {
        value: copy((value as Record<string, unknown>)[key], depth + 1),
        enumerable: true,
      })
    }
    return made
  }
  try {
    return copy(state, 0)
  } catch (error) {
    if (error === TOO_LARGE) return null
    throw error
  }
}

const TOO_LARGE = Symbol('too large')

/** Is a state still what its copy is? */
function isSame(copy: unknown, state: unknown): boolean {
  if (Object.is(copy, state)) return true
  if (!isLooked(copy) || !isLooked(state)) return false
  const [keys, others] = [Object.keys(copy), Object.keys(state)]
  return (
    keys.length === others.length &&
    keys.every((key) => Object.hasOwn(state, key) && isSame(copy[key as never], state[key as never]))
  )
}
