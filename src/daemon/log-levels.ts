/** In the store: the log of a daemon that was detached. */
export const LOG_FILE = 'kuma.log'
/** How much the daemon logs. Apart from the log, which is loaded only where one is written. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
