export function median(values) {
  const sorted = Float64Array.from(values).sort()
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

/** The smallest value that `share` of all values do not exceed. */
export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}

/** Milliseconds that `ask` takes at most in 99 of 100 times. */
export async function p99(times, ask) {
  const waits = []
  for (let i = 0; i < times; i++) {
    const begin = performance.now()
    await ask()
    waits.push(performance.now() - begin)
  }
  return percentile(waits, 0.99)
}
