/**
 * Code that runs in a thread or process of its own is a file of the package, wherever this code was loaded from. A package may
 * be replaced under a process that runs for long (a deploy): code of the new one is never started by the old one.
 */
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { KumaError } from '../errors.ts'

/** The folder of the package that this code is in. */
export const PACKAGE_FOLDER = packageFolder()
const STAMP = stamp()

function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

/** Is the package another than the one that this code was loaded from? */
export function isPackageReplaced(): boolean {
  return STAMP !== null && stamp() !== STAMP
}

/** Of one of its files, which stands for all; null if it is not there. */
function stamp(): string | null {
  const stats = statSync(join(PACKAGE_FOLDER, 'dist', 'worker.js'), { bigint: true, throwIfNoEntry: false })
  return stats === undefined ? null : `${stats.dev} ${stats.ino} ${stats.mtimeNs}`
}

/**
 * @param name of an entry in scripts/build.js
 * @throws KUMA_PACKAGE_REPLACED; KUMA_INTERNAL if the package was bundled into another
 */
export function bundled(name: string): string {
  if (isPackageReplaced()) {
    const hint = 'start this program again; of a daemon: `kuma stop`, `kuma start`'
    const message = `the package in ${PACKAGE_FOLDER} was replaced since this program was started`
    throw new KumaError('KUMA_PACKAGE_REPLACED', message, { path: PACKAGE_FOLDER }, { hint })
  }
  const file = join(PACKAGE_FOLDER, 'dist', `${name}.js`)
  if (existsSync(file)) return file
  const hint = 'kuma must stay a package of its own: name it as external to your bundler'
  throw new KumaError('KUMA_INTERNAL', `a part of the package is missing: there is no ${file}`, {}, { hint })
}
