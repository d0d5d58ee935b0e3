/** Which store a command works on: --dir, then KUMA_DIR, then the config's path, then `kuma-data` looked for upwards. */
import { existsSync, lstatSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Config } from '../api.ts'
import { isMine } from '../store/directory.ts'

export const STORE_NAME = 'kuma-data'
/** Where it is, there is a store. */
export const STORE_FILE = 'kuma.json'

/** @param dir from --dir or KUMA_DIR */
export function storePath(dir: string | undefined, config: Config, cwd: string): string {
  if (dir !== undefined) return resolve(cwd, dir)
  return config.path ?? lookUpwards(cwd) ?? join(cwd, STORE_NAME)
}

/** What somebody else has put there is passed over: that is taken only where it is named, and then refused. */
function lookUpwards(cwd: string): string | undefined {
  for (let folder = cwd; ; folder = dirname(folder)) {
    const candidate = join(folder, STORE_NAME)
    if (existsSync(join(candidate, STORE_FILE)) && isMine(lstatSync(candidate))) return candidate
    if (dirname(folder) === folder) return undefined
  }
}
