import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Definitions } from '../../../src/actor/definitions.ts'
import { Router } from '../../../src/actor/router.ts'
import { InlineCommitter } from '../../../src/commit/committer.ts'
import { GroupCommit } from '../../../src/commit/group-commit.ts'
import { createStore } from '../../../src/store/create.ts'
import { readManifest } from '../../../src/store/manifest.ts'
import { Readers } from '../../../src/store/readers.ts'
import { folder } from '../../folder.ts'

async function routerOf(actorsMax: number) {
  const path = join(folder(), 'store')
  await createStore(path, { shards: 2 })
  const manifest = readManifest(path)
  const readers = new Readers(path, manifest)
  const router = new Router(readers, new GroupCommit([new InlineCommitter(path, manifest)]), new Definitions([]), {
    actorsMax,
    actorIdleMs: 60_000,
    decideTimeoutMs: 1_000,
  })
  onTestFinished(async () => {
    await router.close()
    readers.close()
  })
  const append = (id: string) => router.append({ id, newType: 'document', events: [{ type: 'Counted', data: {} }] })
  return { router, append }
}

test('live actors are held by count, and who left comes back with all that was recorded', async () => {
  const { router, append } = await routerOf(100)
  // thousands of entities, few enough events that no sweep would be due by itself
  for (let round = 0; round < 40; round++) {
    await Promise.all(Array.from({ length: 100 }, (_, i) => append(`e${round}-${i}`)))
  }
  expect(router.size).toBeLessThan(1_000)
  for (let round = 0; round < 40; round++) expect((await append(`e${round}-7`)).version).toBe(2)
})
