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
  const healthy = await run(['query', 'select * from healthy', '--after', last])
  expect(ndjson(healthy.stdout)).toMatchObject([
    { id: 'a', balance: 6 },
    { id: 'b', balance: 20 },
  ])

  const waited = await run(['query', 'select * from fragile', '--after', last])
  expect(waited).toMatchObject({ code: 1, stderr: expect.stringContaining(`fragile stopped at ${at}: more than ten`) })
  const asked = ['select h.id from healthy h, fragile f where h.balance < f.balance and h.id = f.id'] as const
  const refused = await run(['query', ...asked])
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toMatch(/fragile stopped at \d{3}:\d+: more than ten\n.*resume fragile.*skip fragile.*--stale/)
  const asIs = await run(['query', ...asked, '--stale'])
  expect(asIs).toMatchObject({ code: 0, stdout: '' })
  expect(asIs.stderr).toMatch(/^healthy is 0 events behind$/m)
  expect(asIs.stderr).toMatch(/^fragile is \d events? behind \(\d+\.\d s\): it stopped at \d{3}:\d+: more than ten$/m)
  const path = `/v1/query?sql=${encodeURIComponent(asked[0])}`
  expect(await http(join(cwd, 'store'), { path })).toMatchObject({
    status: 503,
    text: expect.stringContaining('KUMA_PROJECTION_FAILED'),
  })
  expect(await http(join(cwd, 'store'), { path: `${path}&stale=true` })).toMatchObject({
    status: 200,
    headers: {
      'kuma-behind': expect.stringMatching(
        /^healthy;state=following;events=0;seconds=0\.0, fragile;state=failed;events=\d;seconds=\d+\.\d;at="\d{3}:\d+"$/,
      ),
    },
  })
  expect(await http(join(cwd, 'store'), { path: '/healthz' })).toMatchObject({ status: 503 })

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
  expect(await http(join(cwd, 'store'), { path: '/healthz' })).toMatchObject({ status: 200 })
  daemon.kill('SIGTERM')
  expect((await output).stderr).toContain('fragile')
})
