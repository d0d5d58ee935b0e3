import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** An empty folder of this test's own, gone when it ends. */
export function folder(): string {
  const path = makeFolder()
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

export function makeFolder(): string {
  return mkdtempSync(join(realpathSync(tmpdir()), 'kuma-test-'))
}
