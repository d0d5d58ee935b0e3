/**
 * Over TCP anybody on the machine, or on the network, can knock: who comes that way must show a token. It stands in a file
 * that nobody else may read, and is compared in a time that does not depend on where it differs.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { decodeUtf8 } from '../entity/utf8.ts'
import { KumaError } from '../errors.ts'
import { readSecret } from '../store/secret-file.ts'

const CHARS_MIN = 16
const MAKE = (file: string) => `make one: (umask 077; openssl rand -hex 32 > ${file})`

export class Token {
  private readonly digest: Buffer

  constructor(text: string) {
    this.digest = sha256(text)
  }

  /** Digests are compared, since they are of one length. */
  isShownBy(text: unknown): boolean {
    return typeof text === 'string' && timingSafeEqual(this.digest, sha256(text))
  }
}

/** @throws KUMA_UNAUTHORIZED if the file cannot serve: is not there, can be read by others, holds too little */
export function readToken(file: string): string {
  let isExposed: boolean
  let text: string
  try {
    const secret = readSecret(file)
    isExposed = secret.isExposed
    text = decodeUtf8(secret.bytes, (problem) => new Error(`it ${problem}`)).trim()
  } catch (cause) {
    throw unauthorized(`the token file ${file} cannot be read: ${(cause as Error).message}`, MAKE(file))
  }
  if (isExposed) throw unauthorized(`others may read the token file ${file}`, `chmod 600 ${file}`)
  if (text.length < CHARS_MIN || /\s/.test(text)) {
    const message = `the token file ${file} must hold one word of ${CHARS_MIN} characters or more`
    throw unauthorized(message, MAKE(file))
  }
  return text
}

export function unauthorized(message: string, hint?: string): KumaError<'KUMA_UNAUTHORIZED'> {
  return new KumaError('KUMA_UNAUTHORIZED', message, {}, { hint })
}

export function wrongToken(): KumaError<'KUMA_UNAUTHORIZED'> {
  return unauthorized('the token is missing or wrong', 'give --token-file FILE, as the daemon was given')
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
