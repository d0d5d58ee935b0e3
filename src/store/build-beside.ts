/**
 * Makes a store beside its final name, and then renames it: so there is never half a store under it, whatever ends the
 * work. Whoever is at it holds the lock of what he builds; what others left behind is removed.
 */
import { randomBytes } from 'node:crypto'
import { lstatSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { isKumaError, KumaError } from '../errors.ts'
import { checkFree } from './create.ts'
import { isMine, makeDirectory, makeNewDirectory, syncDirectory, writeError } from './directory.ts'
import { createLock, takeLock } from './lock.ts'

/**
 * @param build makes all that is in the store's directory, durable; it is given one that is empty, with a lock
 * @throws KUMA_STORE_EXISTS, KUMA_NOT_A_STORE if something is where the store should be; KUMA_IO, KUMA_DISK_FULL
 */
export async function buildBeside<T>(
  to: string,
  build: (building: string) => Promise<T>,
  signal?: AbortSignal | undefined,
): Promise<T> {
  const target = resolve(to)
  checkFree(target)
  const building = `${prefixOf(target)}${randomBytes(4).toString('hex')}`
  try {
    makeDirectory(dirname(target))
    await removeLeftOvers(target)
    makeNewDirectory(building)
    makeDirectory(join(building, 'shards'))
    createLock(building)
    const lock = await takeLock(building)
    const built = await build(building).finally(() => lock.release())
    signal?.throwIfAborted()
    renameSync(building, target) // an empty folder may be there already
    syncDirectory(dirname(target))
    return built
  } catch (error) {
    throw error instanceof KumaError || signal?.aborted ? error : asBuildError(error, target)
  } finally {
    rmSync(building, { recursive: true, force: true })
  }
}

/** The names of what is being built for a target begin like this, beside it. */
function prefixOf(target: string): string {
  return join(dirname(target), `.${basename(target)}.building-`)
}

async function removeLeftOvers(target: string): Promise<void> {
  const prefix = prefixOf(target)
  for (const name of readdirSync(dirname(target))) {
    const path = join(dirname(target), name)
    if (!path.startsWith(prefix)) continue
    const stats = lstatSync(path, { throwIfNoEntry: false })
    if (stats === undefined || !isMine(stats)) continue // somebody else could exchange what is in it meanwhile
    try {
      const lock = await takeLock(path, 0)
      lock.release()
    } catch (error) {
      if (isKumaError(error, 'KUMA_LOCKED')) continue // else it was cut off before it had a lock
    }
    rmSync(path, { recursive: true, force: true })
  }
}

function asBuildError(error: unknown, target: string): KumaError {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOTEMPTY' || code === 'EEXIST')
    return new KumaError('KUMA_STORE_EXISTS', `something has come to ${target} meanwhile`, { path: target })
  return writeError(error, target)
}
