/** All that is measured, in the order in which it runs. Peers stand beside the baselines. */
import { activation } from './activation.js'
import { appends, raw } from './appends.js'
import { daemon } from './daemon.js'
import { growth } from './growth.js'
import { history } from './history.js'
import { latency } from './latency.js'
import { memory } from './memory.js'
import { privacy } from './privacy.js'
import { readModels } from './read-models.js'
import { shell } from './shell.js'

export const scenariosWith = (peers) => [
  ...raw,
  ...peers,
  ...appends,
  ...growth,
  ...latency,
  ...activation,
  ...memory,
  ...history,
  ...privacy,
  ...readModels,
  ...daemon,
  ...shell,
]
