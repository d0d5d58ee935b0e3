import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Files below a folder in which a text stands: as it is, in UTF-16, or as hexadecimal or base64 digits. */
export function filesWith(path: string, texts: readonly string[]): string[] {
  const needles = texts.flatMap(formsOf)
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(path, name)).isFile())
    .filter((name) => {
      const content = readFileSync(join(path, name))
      return needles.some((needle) => content.includes(needle))
    })
}

/** In base64 a text looks one of three ways: what stands before it shifts it. The digits at its ends depend on others. */
function formsOf(text: string): Buffer[] {
  const bytes = Buffer.from(text)
  const base64 = [0, 1, 2].map((shift) => {
    const digits = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    return Buffer.from(digits.slice(shift === 0 ? 0 : shift + 1, -1))
  })
  const hex = bytes.toString('hex')
  return [bytes, Buffer.from(text, 'utf16le'), Buffer.from(hex), Buffer.from(hex.toUpperCase()), ...base64]
}
