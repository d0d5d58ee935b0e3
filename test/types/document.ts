// Without a model: any event, any data, and a state of which only JSON is known.
import * as kuma from 'kuma'

await using store = await kuma.start({ path: './notes' })

const note = await store.spawn(kuma.document, 'note-7', { title: 'Shopping', tags: ['home'] })
note.type satisfies 'document'
await note.append({ type: 'Checked', data: { items: { milk: true, bread: null } } })
await note.append({ type: 'Pinned' })

const state = await note.read({ at: '2h ago' })
state['title'] satisfies kuma.Json | undefined
for await (const { event } of note.replay()) event.data['items'] satisfies kuma.Json | undefined

const nested: kuma.JsonObject = { a: [1, 'two', { three: null, four: undefined }] }
await note.append({ type: 'Edited', data: nested })

// nor of a stream, which has no state at all
const clicks = await store.spawn(kuma.stream, 'clicks')
clicks.type satisfies 'stream'
await store.append(kuma.stream, 'clicks', [{ type: 'Clicked', data: { x: 1 }, at: 1_000 }], {
  expectedVersion: 'exists',
})
for await (const event of clicks.log({ type: 'Clicked' })) event.data['x'] satisfies kuma.Json | undefined
for await (const { createdAt, updatedAt } of store.entities()) (updatedAt - createdAt) satisfies number
