/** One entity of a backup comes into a store with its request keys: what was asked of it is known there. */
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createBackup } from '../../src/backup/create-backup.ts'
import { restoreEntity } from '../../src/backup/restore-entity.ts'
import { Client, engineOf } from '../../src/daemon/client.ts'
import type { Engine } from '../../src/engine.ts'
import type { ResolvedPoint } from '../../src/entity/time.ts'
import { openEngine } from '../../src/kuma.ts'
import { keyFilePath } from '../../src/store/key-file.ts'
import { Keys } from '../../src/store/keys.ts'
import { readManifest } from '../../src/store/manifest.ts'
import { Readers } from '../../src/store/readers.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { folder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'
import { doorOf } from '../models.ts'
import { served } from '../served.ts'

const Door = doorOf(2)
const ring = (id: string, requestKey: string) => ({ id, command: { type: 'Ring', data: {} }, requestKey })
const LONG_AGO = 1_000_000_000_000
const group = (requestKey: string, n: number, from: number) => ({
  id: 'doc',
  type: 'document',
  requestKey,
  events: Array.from({ length: n }, (_, i) => ({ type: 'Set', data: { b: i, a: from }, at: LONG_AGO + from + i })),
})

describe.each([
  { encryption: undefined, through: 'nothing' },
  { encryption: 'entity-keys', through: 'nothing' },
  { encryption: undefined, through: 'a daemon' },
] as const)('encryption $encryption, through $through:', ({ encryption, through }) => {
  const config = { entities: [Door], shards: 1, encryption, masterKey: encryption && MASTER_KEY }
  const masterKey = Buffer.from(MASTER_KEY, 'hex')

  async function open(path: string): Promise<Engine> {
    const live = await openEngine({ ...config, path }, { access: 'write', create: true })
    const engine =
      through === 'nothing' ? live : await served(live, async (store) => engineOf(await Client.connect(store)))
    onTestFinished(() => engine.close())
    return engine
  }

  /** A store that is filled, and a backup of it. */
  async function backedUp(fill: (engine: Engine) => Promise<unknown>) {
    const path = join(folder(), 'store')
    const engine = await open(path)
    await fill(engine)
    await engine.close()
    const { path: backup } = await createBackup(path)
    return { path, backup }
  }

  async function restored(
    { path, backup }: { path: string; backup: string },
    to: Engine,
    id: string,
    options: { at?: ResolvedPoint; into?: string | undefined } = {},
  ) {
    const keyFile = keyFilePath(path)
    const from = await openEngine({ ...config, path: backup }, { access: 'read', keyFile })
    const manifest = readManifest(backup)
    const keys = encryption === undefined ? null : Keys.open(keyFile, manifest, masterKey, 'read')
    const readers = new Readers(backup, manifest, keys)
    try {
      return await restoreEntity({ from, readers }, to, { id, reason: 'test', ...options })
    } finally {
      readers.close()
      await from.close()
    }
  }

  const problemsIn = async (path: string) => {
    const found: string[] = []
    for await (const { problems } of verifyStore(path, { masterKey: () => masterKey })) found.push(...problems)
    return found
  }

  test('its own id or another, also of what was answered without an event, and when it is run again', async () => {
    const backup = await backedUp(async (engine) => {
      await engine.append({ id: 'door', newType: 'door', events: [{ type: 'Created' }], requestKey: 'made' })
      for (let i = 0; i < 600; i++) void engine.execute(ring('door', `early-${i}`))
      await engine.append({ id: 'door', events: [{ type: 'Opened' }] })
      await engine.execute(ring('door', 'in-time'))
    })
    const path = join(folder(), 'store')
    const to = await open(path)
    for (const into of [undefined, 'other']) {
      const entity = into ?? 'door'
      expect(await restored(backup, to, 'door', { into })).toEqual({ entity, version: 4, events: 4 })
      const created = { id: entity, newType: 'door', events: [{ type: 'Created' }], requestKey: 'made' }
      expect(await to.append(created)).toMatchObject({ version: 1, repeated: true })
      for (const i of [0, 250, 599])
        expect(await to.execute(ring(entity, `early-${i}`))).toMatchObject({ version: 1, events: [], repeated: true })
      expect(await to.execute(ring(entity, 'in-time'))).toMatchObject({ version: 4, events: [{}, {}], repeated: true })
      const end = (await to.find(entity))!
      expect(await restored(backup, to, 'door', { into })).toEqual({ entity, version: 4, events: 0 })
      expect(await to.find(entity)).toEqual(end)
      await to.append({ id: entity, events: [{ type: 'Opened' }] }) // it goes on
      expect(await restored(backup, to, 'door', { into })).toEqual({ entity, version: 5, events: 0 })
    }
    const other = { id: 'door', command: { type: 'Ring', data: { loud: true } }, requestKey: 'early-1' }
    await expect(to.execute(other)).rejects.toMatchObject({ code: 'KUMA_REQUEST_KEY_REUSED' })
    await to.close()
    const again = await open(path)
    expect(await again.execute(ring('door', 'early-7'))).toMatchObject({ version: 1, events: [], repeated: true })
    await again.close()
    expect(await problemsIn(path)).toEqual([])
  })

  test('what was recorded as one stays one, however large; what a point cuts in two is refused', async () => {
    const groups = [
      group('small', 499, 1),
      group('one', 1, 1_000),
      group('large', 4_096, 2_000),
      group('last', 3, 9_000),
    ]
    const backup = await backedUp(async (engine) => {
      for (const each of groups) await engine.append({ ...each, newType: 'document' })
    })
    const path = join(folder(), 'store')
    const to = await open(path)
    const ask = (id: string, i: number) => to.append({ ...groups[i]!, id })
    await restored(backup, to, 'doc', { at: { version: 4_597 } })
    expect(await ask('doc', 2)).toMatchObject({ version: 4_596, repeated: true })
    await expect(ask('doc', 3)).rejects.toMatchObject({ code: 'KUMA_REQUEST_KEY_REUSED' })
    await restored(backup, to, 'doc')
    expect(await ask('doc', 1)).toMatchObject({ version: 500, repeated: true })
    expect((await to.find('doc'))!.version).toBe(4_599)
    await restored(backup, to, 'doc', { at: { at: LONG_AGO + 1_500 }, into: 'then' })
    expect(await ask('then', 0)).toMatchObject({ version: 499, repeated: true })
    expect(await ask('then', 3)).toMatchObject({ version: 503 }) // it came later
    await to.close()
    expect(await problemsIn(path)).toEqual([])
  })
})

test('a daemon does not take requests that are of other events', async () => {
  const live = await openEngine({ path: join(folder(), 'store') }, { access: 'write', create: true })
  const engine = await served(live, async (store) => engineOf(await Client.connect(store)))
  onTestFinished(() => engine.close())
  const copy = { id: 'a', type: 'document', newType: 'document', expectedVersion: 0, events: [{ type: 'Set' }] }
  const asked = { requestKey: 'k', digest: 'd', version: 1, count: 1, at: 0 }
  for (const wrong of [
    [{ ...asked, version: 2 }],
    [{ ...asked, count: 2 }],
    [{ ...asked, count: -1 }],
    [{ ...asked, version: 0, count: 0 }],
    [asked, { ...asked, requestKey: 'l' }],
  ])
    await expect(engine.appendCopy({ ...copy, requests: wrong })).rejects.toMatchObject({ code: 'KUMA_INVALID_DATA' })
  await expect(engine.appendCopy({ ...copy, requests: [{ ...asked, version: 0.5 }] })).rejects.toMatchObject({
    code: 'KUMA_INVALID_REQUEST',
  })
  await expect(engine.appendCopy({ ...copy, events: [], requests: [] })).rejects.toMatchObject({
    code: 'KUMA_INVALID_DATA',
  })
  expect(await engine.find('a')).toBe(null)
  expect(await engine.appendCopy({ ...copy, requests: [asked] })).toMatchObject({ version: 1 })
})
