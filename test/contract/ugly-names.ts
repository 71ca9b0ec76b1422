/** Names that break whoever builds a query, a key or a line of text from them by hand. */
export const uglyNames: readonly string[] = [
  "BTCUSDT|ETHUSDT",
  'it\'s "quoted"',
  "with space and\ttab",
  "line\nbreak\r\n",
  "comma,equals=x",
  "{braces}",
  "back\\slash",
  "'); DROP TABLE chunk; --",
  "%_*?[a-z]",
  "币安人生",
  "🚀",
  "e\u0301 and é",
  " leading and trailing ",
];
