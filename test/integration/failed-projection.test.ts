/** A projection that fails, as whoever runs the daemon meets it: it stops alone and loudly, and is set going again. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { accountConfig } from '../account-config.ts'
import { kuma, ndjson } from '../cli.ts'
import { startDaemon } from '../daemon.ts'
import { folder } from '../folder.ts'
import { http } from '../http.ts'

const COLUMNS = "{ id: 'text', balance: 'integer' }"
const CONFIG = accountConfig(
  1,
  `
    kuma.defineProjection({ name: 'healthy', columns: ${COLUMNS} }).rows(Account, ({ balance }, { id }) => ({ id, balance })),
    kuma.defineProjection({ name: 'fragile', columns: ${COLUMNS} }).rows(Account, ({ balance }, { id }) => {
      if (balance > 10) throw new Error('more than ten')
      return { id, balance }
    }),
  `,
)

test('it is told by status, metrics, top and the log, while the others go on, until its event is skipped', async () => {
  const cwd = folder()
  writeFileSync(join(cwd, 'kuma.config.ts'), CONFIG)
  const run = (args: readonly string[]) => kuma(args, { cwd })
  expect((await run(['init'])).code).toBe(0)
  const { daemon, output } = await startDaemon(cwd)
  const deposit = async (id: string, amount: number) => {
    const { stdout } = await run(['append', id, 'Deposited', `amount:=${amount}`, '--type', 'account'])
    return stdout.trim().split(' ').at(-1)!
  }
  await deposit('a', 5)
  const at = await deposit('b', 20)
  const last = await deposit('a', 1)
  const asked = await run(['query', 'select * from healthy', '--after', last])
  expect(ndjson(asked.stdout)).toMatchObject([
    { id: 'a', balance: 6 },
    { id: 'b', balance: 20 },
  ])

  const waited = await run(['query', 'select * from fragile', '--after', last])
  expect(waited).toMatchObject({ code: 1, stderr: expect.stringContaining(`fragile stopped at ${at}: more than ten`) })
  const status = await run(['status'])
  expect(status.code).toBe(1)
  expect(status.stdout).toMatch(/^unhealthy: projections fragile have stopped/)
  expect(status.stdout).toMatch(/^projection healthy following, 0 events behind$/m)
  expect(status.stdout).toMatch(/^projection fragile failed, \d events behind/m)
  expect(ndjson((await run(['projections'])).stdout)).toContainEqual(
    expect.objectContaining({ name: 'fragile', state: 'failed', error: expect.objectContaining({ position: at }) }),
  )
  const top = JSON.parse((await run(['top', '--once', '--json'])).stdout)
  expect(top.status.projections).toContainEqual(expect.objectContaining({ name: 'fragile', state: 'failed' }))
  expect((await run(['top', '--once'])).stdout).toContain('projections failed: fragile')
  const { text: metrics } = await http(join(cwd, 'store'), { path: '/metrics' })
  expect(metrics).toMatch(/^kuma_projection_failed\{.*fragile.*\} 1$/m)
  expect(metrics).toMatch(/^kuma_projection_failed\{.*healthy.*\} 0$/m)

  expect((await run(['projections', 'skip', 'fragile', at, '--reason', 'a test deposit'])).code).toBe(0)
  const mended = await run(['query', 'select id, balance from fragile', '--after', last])
  expect(ndjson(mended.stdout)).toEqual([{ id: 'a', balance: 6 }])
  expect((await run(['status'])).code).toBe(0)
  daemon.kill('SIGTERM')
  expect((await output).stderr).toContain('fragile')
})
