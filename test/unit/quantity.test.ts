import test from 'ava'
import { bytesPattern, cpuPattern, parseQuantity, quantityMistake } from '../../shared/values/quantity.ts'

const thousandths: [text: string, value: bigint | undefined][] = [
  ['0', 0n],
  ['1', 1000n],
  ['500m', 500n],
  ['0.5', 500n],
  ['.5', 500n],
  ['5.', 5000n],
  ['1.0005', 1001n],
  ['100n', 1n],
  ['1500u', 2n],
  ['1k', 1_000_000n],
  ['1Ki', 1_024_000n],
  ['1.5Gi', 1_610_612_736_000n],
  ['0.1Gi', 107_374_182_400n],
  ['10G', 10_000_000_000_000n],
  ['1E', 1_000_000_000_000_000_000_000n],
  ['1e3', 1_000_000n],
  ['1E3', 1_000_000n],
  ['1e-3', 1n],
  ['12e-4', 2n],
  ['7Ei', 8_070_450_532_247_928_832_000n],
  ['8Ei', undefined],
  ['1e99', undefined],
  ['1e999', undefined],
  ['', undefined],
  ['.', undefined],
  ['Gi', undefined],
  ['1GB', undefined],
  ['1K', undefined],
  ['1gi', undefined],
  ['-1', undefined],
  ['+1', undefined],
  [' 1', undefined],
  ['1\n', undefined],
  ['1 Gi', undefined],
  ['0x10', undefined],
  ['1,5', undefined],
  ['NaN', undefined],
  ['Infinity', undefined],
  ['٣', undefined],
  ['9'.repeat(25), undefined],
]

for (const [text, value] of thousandths) {
  test(`${JSON.stringify(text)} is ${value ?? 'no quantity'}`, (t) => {
    t.is(parseQuantity(text), value)
  })
}

test('what is finer than a thousandth is rounded up, never down', (t) => {
  t.is(parseQuantity('0.0001'), 1n)
  t.is(parseQuantity('1n'), 1n)
})

test('floats would err where quantities do not', (t) => {
  t.is(parseQuantity('0.3'), (parseQuantity('0.1') ?? 0n) * 3n)
  t.is(parseQuantity('9007199254740993'), 9_007_199_254_740_993_000n)
})

test('the patterns for users take only what parses', (t) => {
  const texts = [
    ...thousandths.map(([text]) => text),
    '2.125',
    '999999999m',
    '0.001Ki',
    '12Ti',
    '1.2345',
    '1Pi',
  ]
  for (const [pattern, taken] of [
    [cpuPattern, ['0', '1', '500m', '0.5', '2.125', '999999999m']],
    [bytesPattern, ['0', '1', '1k', '1Ki', '1.5Gi', '0.1Gi', '10G', '0.001Ki', '12Ti', '1Pi']],
  ] as const) {
    const accepted = texts.filter((text) => new RegExp(pattern).test(text))
    t.deepEqual(accepted.toSorted(), [...taken].sort())
    for (const text of accepted) t.not(parseQuantity(text), undefined)
  }
})

const range = { min: '1Gi', max: '100Gi' }

for (const [text, mistake] of [
  ['1Gi', undefined],
  ['100Gi', undefined],
  ['1024Mi', undefined],
  ['102400Mi', undefined],
  ['107374182400', undefined],
  ['107374182401', "107374182401 is more than this plan's largest, 100Gi"],
  ['1023Mi', "1023Mi is less than this plan's smallest, 1Gi"],
  ['1G', "1G is less than this plan's smallest, 1Gi"],
  ['500Gi', "500Gi is more than this plan's largest, 100Gi"],
  ['0', '0 is nothing; it must be more than 0'],
  ['0Gi', '0Gi is nothing; it must be more than 0'],
  ['0.001Ki', '0.001Ki is not a whole number of bytes'],
  ['many', '"many" is not a quantity such as 512Mi or 10Gi'],
] as const) {
  test(`within 1Gi to 100Gi, ${text} is ${mistake ?? 'right'}`, (t) => {
    t.is(quantityMistake('bytes', text, range), mistake)
  })
}
