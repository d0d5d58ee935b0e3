/** Numbers and texts in the room that there is. */
import stringWidth from 'string-width'
import { visible } from '../visible.ts'

const ELLIPSIS = '…'
const PLAIN = /^[\x20-\x7e]*$/
const BARS = '▁▂▃▄▅▆▇█'

/** So many columns exactly: cut, or filled with spaces. Someone's text never moves the cursor. */
export function fitted(given: string, width: number, align: 'left' | 'right' = 'left'): string {
  if (width <= 0) return ''
  if (PLAIN.test(given)) {
    if (given.length > width) return given.slice(0, width - 1) + ELLIPSIS
    return align === 'left' ? given.padEnd(width) : given.padStart(width)
  }
  const text = visible(given)
  const whole = stringWidth(text)
  if (whole <= width) return align === 'left' ? text + ' '.repeat(width - whole) : ' '.repeat(width - whole) + text
  let [kept, used] = ['', 0]
  for (const char of text) {
    const columns = stringWidth(char)
    if (used + columns > width - 1) break
    kept += char
    used += columns
  }
  return kept + ELLIPSIS + ' '.repeat(width - 1 - used)
}

/** 1234567 -> "1,234,567" */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

/** 0.42, 4.2, 42, 4,213 */
export function rate(value: number): string {
  return value > 0 && value < 10 ? String(Math.round(value * 10) / 10) : whole(value)
}

/** 0.08, 1.2, 12, 1,204 */
export function ms(value: number): string {
  return value < 1 ? value.toFixed(2) : value < 10 ? value.toFixed(1) : whole(value)
}

/** 16234567 -> "16.2M" */
export function bytes(value: number): string {
  const units = ['', 'k', 'M', 'G', 'T']
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)))
  const scaled = value / 1_000 ** unit
  return `${unit > 0 && scaled < 100 ? scaled.toFixed(1) : Math.round(scaled)}${units[unit]}`
}

/** 12s, 4m10s, 3h07m, 12d4h */
export function span(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds))
  const two = (value: number) => String(value).padStart(2, '0')
  if (s < 60) return `${s}s`
  if (s < 3_600) return `${Math.floor(s / 60)}m${two(s % 60)}s`
  if (s < 86_400) return `${Math.floor(s / 3_600)}h${two(Math.floor(s / 60) % 60)}m`
  return `${Math.floor(s / 86_400)}d${Math.floor(s / 3_600) % 24}h`
}

/** The newest at the right, as high as the highest. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width)
  const max = Math.max(...shown, 1e-9)
  const bars = shown.map((value) => BARS[Math.min(BARS.length - 1, Math.floor((value / max) * (BARS.length - 0.01)))])
  return bars.join('').padStart(width)
}
