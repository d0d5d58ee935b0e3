/**
 * Where the copies of a store's contents are. Places other than its own are remembered, so that an erasure reaches or
 * names them.
 */
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, realpathSync, writeSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { KumaError } from '../errors.ts'
import { ioError, makeDirectory } from '../store/directory.ts'
import type { Manifest } from '../store/manifest.ts'
import { type BackupManifest, isBackup, readBackupManifest } from './backup-manifest.ts'
import { byName, inOrder } from './order.ts'

/**
 * One path in JSON a line, in the store; `{ "keys": path }` for a copy of the keys of an encrypted one, and
 * `{ "fork": path, "store": its id }` for a fork, `{ "rqlite": nodes }` for an rqlite that read models went to.
 */
const PLACES = 'backup-places.ndjson'
const NAME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(?:-\d+)?$/

type Line = string | { readonly keys: string } | ForkPlace | { readonly rqlite: readonly string[] }

export interface ForkPlace {
  readonly fork: string
  readonly store: string
}

export interface PlacedBackup {
  readonly name: string
  readonly path: string
  /** null if it cannot be read: then `problem` says why */
  readonly manifest: BackupManifest | null
  readonly problem: string | null
}

export function defaultPlace(store: string): string {
  return join(store, 'backups')
}

/** Makes the folder and remembers it. @throws KUMA_USAGE for one that cannot be a place of this store's, KUMA_IO */
export function openPlace(store: string, { store: id }: Manifest, to: string | undefined): string {
  const place = to === undefined ? defaultPlace(store) : resolve(to)
  const own = resolve(defaultPlace(store))
  if (place !== own && isWithin(place, resolve(store))) {
    const hint = 'leave out --to for its own folder `backups`, or give one outside of it'
    throw new KumaError('KUMA_USAGE', `${place} is inside of the store`, {}, { hint })
  }
  try {
    makeDirectory(place)
    const names = readdirSync(place)
    if (names.includes('kuma.json')) {
      const hint = 'give a folder for backups'
      throw new KumaError('KUMA_USAGE', `${place} is a store or a backup itself`, {}, { hint })
    }
    const other = backupsIn(place).find(({ manifest }) => manifest !== null && manifest.store !== id)
    if (other !== undefined) {
      const hint = 'give each store a place of its own'
      throw new KumaError('KUMA_USAGE', `${place} holds backups of another store (${other.name})`, {}, { hint })
    }
    if (place !== own) remember(store, realpathSync(place))
  } catch (cause) {
    throw cause instanceof KumaError ? cause : ioError(cause, place)
  }
  return place
}

export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way === '' || !(way === '..' || way.startsWith(`..${sep}`))
}

/**
 * Appended as a whole line after a line's end, so that one cut short spoils no other. In a backup nothing is remembered:
 * nothing is ever written to those.
 */
export function remember(store: string, place: Line): void {
  if (isBackup(store)) return
  const line = JSON.stringify(place)
  if (linesOf(store).some((known) => JSON.stringify(known) === line)) return
  const fd = openSync(join(store, PLACES), 'a', 0o600)
  try {
    writeSync(fd, `\n${line}\n`)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** All places to which backups of the store were ever written, its own first. */
export function placesOf(store: string): string[] {
  const places = linesOf(store).filter((line) => typeof line === 'string')
  return [...new Set([defaultPlace(store), ...places])]
}

/** All files to which keys of the store were ever copied. */
export function keyCopiesOf(store: string): string[] {
  return linesOf(store).flatMap((line) => (typeof line === 'object' && 'keys' in line ? [line.keys] : []))
}

/** All forks that were ever made of the store. */
export function forkPlacesOf(store: string): ForkPlace[] {
  return linesOf(store).flatMap((line) => (typeof line === 'object' && 'fork' in line ? [line] : []))
}

/** The nodes of each rqlite that read models ever went to. Lists that share a node are of one, whose nodes have changed. */
export function rqlitesOf(store: string): string[][] {
  const lists = linesOf(store).flatMap((line) => (typeof line === 'object' && 'rqlite' in line ? [line.rqlite] : []))
  return lists.reduce<string[][]>((clusters, nodes) => {
    const isSame = (known: readonly string[]) => known.some((node) => nodes.includes(node))
    const same = clusters.filter(isSame).flat()
    return [...clusters.filter((known) => !isSame(known)), [...new Set([...same, ...nodes])]]
  }, [])
}

function linesOf(store: string): Line[] {
  let text = ''
  try {
    text = readFileSync(join(store, PLACES), 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw ioError(cause, join(store, PLACES))
  }
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Line]
    } catch {
      return []
    }
  })
}

/** Backups in a place, by name: `inOrder` tells which is the newer. None if the place is not there. @throws KUMA_IO */
export function backupsIn(place: string): PlacedBackup[] {
  let names: string[]
  try {
    names = readdirSync(place)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw ioError(cause, place)
  }
  return names
    .filter((name) => NAME.test(name))
    .sort(byName)
    .map((name) => describe(join(place, name), name))
}

function describe(path: string, name: string): PlacedBackup {
  try {
    return { name, path, manifest: readBackupManifest(path), problem: null }
  } catch (error) {
    return { name, path, manifest: null, problem: (error as Error).message }
  }
}

/**
 * The folder of a backup that somebody names.
 * @param given its name in one of the store's places, or its folder; without it the newest of all
 * @param store asked for only if it is needed: a backup can be used where there is no store any more
 * @throws KUMA_NOT_A_BACKUP
 */
export async function findBackup(given: string | undefined, store: () => Promise<string>): Promise<string> {
  if (given !== undefined && isBackup(given)) return resolve(given)
  if (given !== undefined && !NAME.test(given)) throw notFound(`there is no backup ${given}`, given)
  const path = await store()
  const all = placesOf(path).flatMap((place) => backupsIn(place))
  const found = given === undefined ? (await inOrder(path, all)).at(-1) : all.find(({ name }) => name === given)
  if (found !== undefined) return found.path
  throw given === undefined
    ? notFound(`${path} has no backup`, path)
    : notFound(`there is no backup ${given} of ${path}`, path)
}

function notFound(message: string, path: string): KumaError<'KUMA_NOT_A_BACKUP'> {
  const hint = '`kuma backup` takes one, `kuma backup ls` lists them; or give its folder'
  return new KumaError('KUMA_NOT_A_BACKUP', message, { path }, { hint })
}
