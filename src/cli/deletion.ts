/** What `kuma delete` would erase, and how it tells what it did. */
import { join } from 'node:path'
import { notFound } from '../actor/actor.ts'
import type { Receipt } from '../api.ts'
import type { Engine } from '../engine.ts'
import { print } from './output.ts'
import type { Column } from './table.ts'

/** An entity that would go, and from where. */
export interface Doomed {
  readonly entity: string
  readonly type: string
  readonly events: number
  readonly file: string
}

export const DOOMED_COLUMNS: readonly Column<Doomed>[] = [
  { head: 'id', text: ({ entity }) => entity },
  { head: 'type', text: ({ type }) => type },
  { head: 'events', text: ({ events }) => events.toLocaleString('en'), align: 'right' },
  { head: 'file', text: ({ file }) => file },
]

/** @throws KUMA_NOT_FOUND for an id that does not exist; a prefix that nothing begins with gives nothing */
export async function doomed(engine: Engine, ids: readonly string[], prefix: string | undefined): Promise<Doomed[]> {
  const found: Doomed[] = []
  for (const id of new Set(ids)) {
    const entity = await engine.find(id)
    if (entity === null) throw notFound(id)
    found.push(await placed(engine, entity))
  }
  if (prefix !== undefined)
    for await (const entity of engine.entities({ prefix })) found.push(await placed(engine, entity))
  return found
}

async function placed(engine: Engine, { id, type, version }: { id: string; type: string; version: number }) {
  const where = { entity: id, type, events: version, file: '' }
  for await (const { position } of engine.log({ id, limit: 1 })) where.file = fileOf(position)
  return where
}

function fileOf(position: string): string {
  return `shards/${position.split(':')[0]!}.db`
}

/** For people; programs get the receipt itself. */
export async function tellReceipt(path: string, receipt: Receipt): Promise<void> {
  const { entities, erased, files, keysDestroyed, reached, notReached, sha256 } = receipt
  const count = (n: number, one: string, many = `${one}s`) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`
  await print(`erased ${count(entities.length, 'entity', 'entities')}, ${count(erased, 'event')}`)
  for (const { file, pages, dirty } of files) {
    if (dirty.length === 0) await print(`  nothing left in ${file}: ${count(pages, 'page')} checked byte by byte`)
  }
  if (keysDestroyed !== undefined)
    await print(`  ${count(keysDestroyed, 'key')} destroyed: no copy can be read with them`)
  for (const place of reached) await print(`  nothing left in ${place}`)
  for (const { what, remedy } of notReached) await print(`  NOT reached: ${what}: ${remedy}`)
  await print(`receipt ${join(path, 'erasures', `${receipt.receipt}.json`)}, sha256 ${sha256.slice(0, 16)}`)
}
