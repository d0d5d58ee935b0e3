// Validators of three libraries say what the events carry. What is appended may differ from what is read.

import { type as ark } from 'arktype'
import * as kuma from 'kuma'
import * as v from 'valibot'
import { z } from 'zod'

export const Parcel = kuma
  .defineEntity({
    type: 'parcel',
    initial: (id) => ({ barcode: id, grams: 0, trail: [] as string[], signedBy: null as string | null }),
    events: {
      Created: z.object({ sender: z.string(), service: z.enum(['letter', 'express']) }),
      Weighed: z.object({ grams: z.coerce.number(), scale: z.string().default('desk') }),
      Scanned: v.object({ depot: v.pipe(v.string(), v.minLength(2)), lane: v.optional(v.number()) }),
      Delivered: ark({ 'signedBy?': 'string', door: "'front'|'back'" }),
    },
  })
  .evolve({
    Created: (parcel, { sender, service }) => {
      service satisfies 'letter' | 'express'
      return { ...parcel, trail: [sender] }
    },
    Weighed: (parcel, { grams, scale }) => ({
      ...parcel,
      grams: grams satisfies number,
      trail: [...parcel.trail, scale],
    }),
    Scanned: (parcel, { depot, lane }) => ({ ...parcel, trail: [...parcel.trail, `${depot} ${lane ?? ''}`] }),
    Delivered: (parcel, { signedBy, door }) => ({ ...parcel, signedBy: signedBy ?? door }),
  })

export async function send(store: kuma.Context): Promise<string[]> {
  const parcel = await store.spawn(Parcel, '0034', { sender: 'bo', service: 'express' }, { requestKey: 'send-0034' })
  await parcel.append({ type: 'Weighed', data: { grams: '750' } }) // coerced, and `scale` has a default
  await parcel.append({ type: 'Scanned', data: { depot: 'north' } })
  await parcel.append({ type: 'Delivered', data: { door: 'back' } })
  const weighed = await parcel.log({ type: 'Weighed' }).toArray()
  return weighed.map(({ data }) => `${data.grams.toFixed(0)} ${data.scale.trim()}`)
}

export function service(event: kuma.EventOf<typeof Parcel>): 'letter' | 'express' | null {
  return event.type === 'Created' ? event.data.service : null
}
