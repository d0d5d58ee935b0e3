/** Code that runs in a thread or process of its own is a file of the package, wherever this code was loaded from. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { KumaError } from '../errors.ts'

/** The folder of the package that this code is in. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

/** @param name of an entry in scripts/build.js @throws KUMA_INTERNAL if the package was bundled into another */
export function bundled(name: string): string {
  const file = join(packageFolder(), 'dist', `${name}.js`)
  if (existsSync(file)) return file
  const hint = 'kuma must stay a package of its own: name it as external to your bundler'
  throw new KumaError('KUMA_INTERNAL', `a part of the package is missing: there is no ${file}`, {}, { hint })
}
