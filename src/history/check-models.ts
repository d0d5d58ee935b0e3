/**
 * Do the models that are here go with what is recorded? Every event is made into today's form, held against its schema and
 * folded, as it will be when somebody reads: before that happens, and with nothing written.
 */
import type { Located } from '../actor/activate.ts'
import type { Definitions } from '../actor/definitions.ts'
import { bytesOf, Scale } from '../actor/readable.ts'
import type { Definition } from '../entity/define-entity.ts'
import { formatPosition, type RecordedEvent } from '../entity/event.ts'
import { CREATED, evolve, initialState } from '../entity/fold.ts'
import { undeclared, validate } from '../entity/schema.ts'
import { upcast } from '../entity/upcast.ts'
import { isKumaError, type KumaError } from '../errors.ts'
import { rowsBetween } from '../store/chain.ts'
import type { Readers } from '../store/readers.ts'
import { inSlices, isSpent, PAST } from '../store/slices.ts'
import { listed } from './entities.ts'

/** What failed: making today's form of an event, its schema, folding it, or finding a definition of the entity's type. */
export type CheckedPart = 'type' | 'upcast' | 'schema' | 'evolve'

/** Events of one type, of one type of entity, that fail alike. */
export interface Misfit {
  readonly entityType: string
  /** as it is stored; null where the entity's type is not known */
  readonly event: string | null
  readonly part: CheckedPart
  /** events; of a type that is not known, all those of its entities */
  readonly count: number
  readonly first: {
    readonly entity: string
    readonly version: number
    /** where in the data: `.items.0.price`; null if it is not about a part of them */
    readonly path: string | null
    readonly message: string
  }
}

export interface CheckReport {
  readonly entities: number
  readonly events: number
  /** the most frequent first */
  readonly misfits: readonly Misfit[]
}

export interface CheckOptions {
  /** Default: all of them. */
  readonly shards?: readonly number[] | undefined
  /** Check one entity of so many. Default: 1. */
  readonly every?: number | undefined
  readonly onProgress?: ((events: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** @throws KUMA_CORRUPT, the signal's reason */
export async function checkModels(
  readers: Readers,
  definitions: Definitions,
  { shards = Array.from({ length: readers.manifest.shards }, (_, shard) => shard), ...options }: CheckOptions = {},
): Promise<CheckReport> {
  const check = new Check(definitions)
  for (const shard of shards) await checkShard(readers, shard, check, options)
  return check.report
}

async function checkShard(
  readers: Readers,
  shard: number,
  check: Check,
  { every = 1, onProgress, signal }: CheckOptions,
): Promise<void> {
  let passed = 0
  for await (const located of listed(readers, { after: formatPosition(shard, 0), signal })) {
    if (located.reader.shard !== shard) return
    if (passed++ % every !== 0) continue
    try {
      await inSlices(check.entity(located), PAST, signal)
    } catch (error) {
      if (!isKumaError(error, 'KUMA_ERASED')) throw error
    }
    onProgress?.(check.events)
  }
}

/** One report of several. */
export function summed(reports: readonly CheckReport[]): CheckReport {
  const all = new Misfits()
  for (const { misfits } of reports) for (const misfit of misfits) all.add(misfit)
  const sum = (of: 'entities' | 'events') => reports.reduce((total, report) => total + report[of], 0)
  return { entities: sum('entities'), events: sum('events'), misfits: all.list }
}

class Misfits {
  private readonly byKind = new Map<string, Misfit>()

  add(misfit: Misfit): void {
    const key = JSON.stringify([misfit.entityType, misfit.event, misfit.part])
    const known = this.byKind.get(key)
    this.byKind.set(key, known === undefined ? misfit : { ...known, count: known.count + misfit.count })
  }

  get list(): Misfit[] {
    return [...this.byKind.values()].sort((a, b) => b.count - a.count)
  }
}

class Check {
  events = 0
  private entities = 0
  private readonly misfits = new Misfits()

  constructor(private readonly definitions: Definitions) {}

  get report(): CheckReport {
    return { entities: this.entities, events: this.events, misfits: this.misfits.list }
  }

  /** From its first event to its last, without snapshots: those were made by the models of their time. */
  *entity({ reader, entity, head }: Located): Generator<void> {
    this.entities++
    const definition = this.definitions.find(entity.type)
    if (definition === undefined) {
      this.unknown(entity, head.version)
      return
    }
    let fold: Fold | null = this.begin(definition, entity.id)
    for (const rows of rowsBetween(reader, entity.key, { version: 0, seq: 0 }, head, () => true)) {
      for (const row of rows) {
        this.events++
        const stored = reader.recorded(row, entity)
        const event = this.holds(entity.type, stored, 'upcast', () => upcast(definition, stored))
        if (event === null) fold = null
        else this.holds(entity.type, stored, 'schema', () => checkSchema(definition, event))
        if (fold !== null && event !== null) fold = this.folded(fold, stored, event, bytesOf(row))
        if (isSpent()) yield
      }
      yield
    }
  }

  private unknown({ id, type }: Located['entity'], version: number): void {
    this.events += version
    const message = `there is no definition of the entity type ${JSON.stringify(type)} here`
    const first = { entity: id, version: 1, path: null, message }
    this.misfits.add({ entityType: type, event: null, part: 'type', count: version, first })
  }

  private begin(definition: Definition, id: string): Fold | null {
    const about = { type: CREATED, entity: id, version: 0 }
    const state = this.holds(definition.type, about, 'evolve', () => initialState(definition, id))
    return state === null ? null : { definition, state, scale: new Scale(id, 0) }
  }

  /** Null once it has failed: what comes after stands on a state that nobody knows. */
  private folded(fold: Fold, stored: RecordedEvent, event: RecordedEvent, bytes: number): Fold | null {
    const { definition, scale } = fold
    const state = this.holds(definition.type, stored, 'evolve', () => {
      const state = evolve(definition, fold.state, event)
      scale.add(bytes, state)
      return state
    })
    return state === null ? null : { ...fold, state }
  }

  /** What `act` gives, or null if it fails, which is noted. */
  private holds<T>(
    entityType: string,
    { type, entity, version }: Pick<RecordedEvent, 'type' | 'entity' | 'version'>,
    part: CheckedPart,
    act: () => T,
  ): T | null {
    try {
      return act()
    } catch (error) {
      if (!isKumaError(error)) throw error
      const first = { entity, version, path: pathIn(error), message: error.message }
      this.misfits.add({ entityType, event: type, part, count: 1, first })
      return null
    }
  }
}

interface Fold {
  readonly definition: Definition
  readonly state: unknown
  readonly scale: Scale
}

/** @throws KUMA_INVALID_EVENT */
function checkSchema(definition: Definition, { type, data }: RecordedEvent): void {
  const schema = definition.schema(type)
  if (schema !== undefined) validate(schema, type, data)
  else if (type !== CREATED) throw undeclared('event', definition.type, type, definition.events)
}

function pathIn(error: KumaError): string | null {
  if (!isKumaError(error, 'KUMA_INVALID_EVENT')) return null
  const path = error.details.issues[0]?.path
  return path === undefined || path.length === 0 ? null : `.${path.join('.')}`
}
