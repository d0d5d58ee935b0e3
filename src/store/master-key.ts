/** The master key of encrypted stores: 32 bytes, as 64 hexadecimal digits or in base64, in a file or a variable. */
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, writeSync } from 'node:fs'
import { KumaError } from '../errors.ts'
import { createFile, ioError } from './directory.ts'
import type { Manifest } from './manifest.ts'
import { readSecret, type SecretFile } from './secret-file.ts'

const BYTES = 32
export const KEY_VARIABLE = 'KUMA_MASTER_KEY'

/** Where a master key may come from; the first that is there counts, and KUMA_MASTER_KEY comes last. */
export interface MasterKeySource {
  readonly masterKey?: string | Uint8Array | undefined
  readonly masterKeyFile?: string | undefined
}

/** Null if there is none. @throws KUMA_MASTER_KEY if it is not one, KUMA_IO */
export function masterKeyFrom({ masterKey, masterKeyFile }: MasterKeySource): Uint8Array | null {
  if (masterKey !== undefined) return typeof masterKey === 'string' ? parse(masterKey, 'masterKey') : checked(masterKey)
  if (masterKeyFile !== undefined) return parse(read(masterKeyFile), masterKeyFile)
  const given = process.env[KEY_VARIABLE]
  return given ? parse(given, KEY_VARIABLE) : null
}

/** The environment for another process or thread: what a process was started with can be read for as long as it runs. */
export function withoutMasterKey(): NodeJS.ProcessEnv {
  const { [KEY_VARIABLE]: _, ...rest } = process.env
  return rest
}

/** That of a store; null if it is not encrypted. @throws KUMA_MASTER_KEY, also if there is none; KUMA_IO */
export function masterKeyFor(path: string, { encryption }: Manifest, source: MasterKeySource): Uint8Array | null {
  if (encryption === undefined) return null
  const masterKey = masterKeyFrom(source)
  if (masterKey === null) throw noMasterKey(path)
  return masterKey
}

/** Makes a file with a new one, which must not exist. @throws KUMA_IO */
export function createMasterKeyFile(path: string): void {
  try {
    const fd = createFile(path)
    try {
      writeSync(fd, `${randomBytes(BYTES).toString('hex')}\n`)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  } catch (cause) {
    throw ioError(cause, path)
  }
}

function read(path: string): string {
  let secret: SecretFile
  try {
    secret = readSecret(path)
  } catch (cause) {
    throw ioError(cause, path)
  }
  if (secret.isExposed) throw exposed(path)
  return secret.bytes.toString()
}

function parse(text: string, from: string): Uint8Array {
  const trimmed = text.trim()
  if (/^[0-9a-f]{64}$/i.test(trimmed)) return Buffer.from(trimmed, 'hex')
  if (/^[\w+/-]{43}=?$/.test(trimmed)) return Buffer.from(trimmed, 'base64')
  throw malformed(from)
}

function checked(key: Uint8Array): Uint8Array {
  if (key instanceof Uint8Array && key.length === BYTES) return key
  throw malformed('masterKey')
}

/** Never with the text itself: it may be most of a key. */
function malformed(from: string): KumaError<'KUMA_MASTER_KEY'> {
  const hint = `a master key is ${BYTES} random bytes: 64 hexadecimal digits or base64; \`openssl rand -hex ${BYTES}\` makes one`
  return new KumaError('KUMA_MASTER_KEY', `${from} is not a master key`, { path: null, reason: 'malformed' }, { hint })
}

function exposed(path: string): KumaError<'KUMA_MASTER_KEY'> {
  const message = `others may read the master key in ${path}`
  return new KumaError('KUMA_MASTER_KEY', message, { path, reason: 'exposed' }, { hint: `chmod 600 ${path}` })
}

export function noMasterKey(path: string): KumaError<'KUMA_MASTER_KEY'> {
  const hint = 'give its master key: --master-key-file (masterKeyFile), or KUMA_MASTER_KEY'
  return new KumaError(
    'KUMA_MASTER_KEY',
    `the contents of ${path} are encrypted`,
    { path, reason: 'missing' },
    { hint },
  )
}

export function wrongMasterKey(path: string): KumaError<'KUMA_MASTER_KEY'> {
  const hint = 'look for another: nothing but that one opens it'
  return new KumaError(
    'KUMA_MASTER_KEY',
    `this is not the master key that ${path} was made with`,
    { path, reason: 'wrong' },
    { hint },
  )
}
