const suffixes: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** The number a Kubernetes quantity stands for (`10Gi`, `500m`, `.5`, `1e3`). Throws on other text. */
export function parseQuantity(quantity: string | number): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(String(quantity))
  const factor = suffixes[match?.[2] ?? '?']
  if (!match || factor === undefined)
    throw new Error(`"${quantity}" is not a quantity: write a number with a unit, such as 500m or 10Gi`)
  return Number(match[1]) * factor
}

const binary = ['Ei', 'Pi', 'Ti', 'Gi', 'Mi', 'Ki']
const decimal = ['E', 'P', 'T', 'G', 'M', 'k', '', 'm', 'u', 'n']

/** The same quantity as Kubernetes writes it: the largest unit of its family in which it is a whole number. */
export function canonicalQuantity(quantity: string): string {
  const number = parseQuantity(quantity)
  const family = /i$/.test(quantity) ? [...binary, ''] : decimal
  const unit = family.find((one) => {
    const count = number / (suffixes[one] ?? 1)
    return Math.abs(count) >= 1 && Math.abs(count - Math.round(count)) < 1e-9
  })
  return unit === undefined ? quantity : `${Math.round(number / (suffixes[unit] ?? 1))}${unit}`
}
