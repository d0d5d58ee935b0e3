/** A file that holds a secret, as a token or a master key: it stands there for whoever runs this, and for nobody else. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'

export interface SecretFile {
  readonly bytes: Buffer
  /** Others may read or write it. */
  readonly isExposed: boolean
}

/** What is said of the mode is of the very file that was read. @throws an error of Node */
export function readSecret(path: string): SecretFile {
  const fd = openSync(path, 'r')
  try {
    const isExposed = process.platform !== 'win32' && (fstatSync(fd).mode & 0o077) !== 0
    return { bytes: readFileSync(fd), isExposed }
  } finally {
    closeSync(fd)
  }
}
