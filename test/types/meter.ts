// Events that changed their shape or their name after they were recorded.
import * as kuma from 'kuma'

const shape = kuma
  .defineEntity({
    type: 'meter',
    version: 2,
    initial: { wattHours: 0, house: '' },
    events: {
      Read: kuma.type<{ wattHours: number; unit: 'Wh' | 'VAh' }>(),
      Reset: kuma.type<{ why?: string }>(),
    },
    commands: { Reset: kuma.type<{ why?: string }>() },
  })
  .evolve({
    Read: (meter, { wattHours }) => ({ ...meter, wattHours }),
    Reset: (meter) => ({ ...meter, wattHours: 0 }),
  })

// in either order
export const Meter = shape
  .upcast({
    // shape
    Read: ({ data }) => ({
      type: 'Read',
      data: 'kwh' in data ? { wattHours: data.kwh * 1000, unit: 'Wh' } : data,
    }),
    // the state that `spawn` recorded
    Created: ({ data, at }) => ({ type: 'Created', data: at < 0 ? { house: data.street } : data }),
    // name
    Zeroed: ({ type, entity, version, meta }) => ({
      type: 'Reset',
      data: { why: `${type} ${entity} ${version satisfies number} ${meta.by satisfies string | undefined}` },
    }),
  })
  .decide({ Reset: (_, data) => ({ type: 'Reset', data }) })

export const Other = shape.decide({ Reset: () => undefined }).upcast({})
export const same: typeof Meter = Other

/** An upcaster of its own. */
export function zeroed({ data }: kuma.StoredEvent): kuma.Upcasted<kuma.FactsFrom<typeof Meter>> {
  return { type: 'Reset', data: { why: data.why } }
}
Meter.upcast({ Zeroed: zeroed })
