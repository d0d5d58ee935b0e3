/**
 * What gives many, when the daemon ends in the middle of it: the next one is asked for what is left.
 *
 * The feed goes on after its last page. A list that has given nothing is asked for anew. One of entities goes on after the
 * place that was told with its last page. A log and a replay are asked for from the last event that was given, which must come
 * again as it was; all after it is new. Where none of that can be done, as in a query, KUMA_DISCONNECTED says that what was
 * given is not the whole.
 */
import { isDeepStrictEqual } from 'node:util'
import type { FeedPage, FeedRequest, RecordedStep } from '../engine.ts'
import type { RecordedEvent } from '../entity/event.ts'
import { isKumaError, type KumaError } from '../errors.ts'
import { rangeOf } from '../history/range.ts'
import type { Client } from './client.ts'
import { disconnected } from './protocol.ts'

interface Params {
  readonly id?: string
  readonly reverse?: boolean
  readonly limit?: number
}

/** How much of a list was given. */
interface Given {
  count: number
  last: unknown
  place: string | undefined
}

/** What is left to be asked for, if that can be told; and whether the last item comes again first. */
type Rest = { readonly params: object; readonly overlaps: boolean } | null

function restOf(call: string, params: Params, { count, last, place }: Given): Rest {
  if (count === 0) return { params, overlaps: false }
  const { limit, ...unlimited } = params
  if (place !== undefined) {
    const left = limit === undefined ? {} : { limit: limit - count }
    return { params: { ...unlimited, ...left, after: place }, overlaps: false }
  }
  if (call === 'replay') return { params: { ...params, from: versionOf((last as RecordedStep).event) }, overlaps: true }
  if (call !== 'log') return null
  const event = last as RecordedEvent
  const point = params.id === undefined ? { at: event.at } : versionOf(event)
  return { params: { ...unlimited, [params.reverse ? 'to' : 'from']: point }, overlaps: true }
}

function versionOf({ version }: RecordedEvent) {
  return { version }
}

/** @throws KUMA_DISCONNECTED, and what the call does */
export async function* listOf<T>(
  client: Client,
  call: string,
  params: Params,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  const given: Given = { count: 0, last: undefined, place: undefined }
  const told = (place: string) => {
    given.place = place
  }
  let lost: KumaError | null = null
  for (let rest: Rest = { params, overlaps: false }; ; ) {
    let isNew = !rest.overlaps
    try {
      for await (const item of client.stream<T>(call, rest.params, signal, told)) {
        if (isNew) {
          yield item
          given.count++
          given.last = item
        } else isNew = isDeepStrictEqual(item, given.last)
        if (lost !== null && given.count === params.limit) return
      }
      if (isNew) return
      throw lost!
    } catch (error) {
      lost = lostIn(error, lost, client)
      rest = restOf(call, params, given)
      if (rest === null) throw lost
      if (given.count === params.limit) return
    }
  }
}

/**
 * The loss after which it may go on.
 * @throws the loss before, if after that no other daemon came or it does not know how to go on; any other error
 */
function lostIn(error: unknown, before: KumaError | null, { isClosed }: Client): KumaError {
  if (isKumaError(error, 'KUMA_DISCONNECTED') && error !== before && !isClosed) return error
  if (before !== null && isKumaError(error, 'KUMA_NOT_RUNNING', 'KUMA_CLOSED', 'KUMA_INVALID_REQUEST')) throw before
  throw error
}

/**
 * Where it begins is fixed by this call. Ends when the client was closed here, as it does in process.
 * @throws KUMA_DISCONNECTED if it had begun and no other daemon came, and what the call does
 */
export function feedOf(client: Client, { signal, ...request }: FeedRequest = {}): AsyncGenerator<FeedPage> {
  return pagesOf(client, client.stream<FeedPage>('feed', request, signal), request, signal)
}

async function* pagesOf(
  client: Client,
  first: AsyncIterable<FeedPage>,
  request: FeedRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<FeedPage> {
  const onlyBegun = begunOnly(request)
  let lost: KumaError | null = null
  for (let { from, crcs } = request; ; ) {
    try {
      const pages = lost === null ? first : client.stream<FeedPage>('feed', { ...request, from, crcs }, signal)
      for await (const page of pages) {
        from = page.position
        crcs = page.crcs
        yield onlyBegun(page)
      }
      if (!request.follow || client.isClosed) return
      lost = disconnected(`the daemon of ${client.name} ended the feed`, client.name) // as it did before it said goodbye
    } catch (error) {
      if (client.isClosed) return
      lost = lostIn(error, lost, client)
    }
  }
}

/** Of one entity from a point on: the place of a page does not tell the point. */
function begunOnly({ id, from }: FeedRequest): (page: FeedPage) => FeedPage {
  if (id === undefined || typeof from !== 'object') return (page) => page
  const { begun } = rangeOf({ from })
  return ({ items, itemCrcs, ...place }) => {
    const passes = items.map((item) => item.kind !== 'event' || begun(item.event))
    const passed = (_: unknown, i: number) => passes[i]!
    return { ...place, items: items.filter(passed), itemCrcs: itemCrcs?.filter(passed) }
  }
}
