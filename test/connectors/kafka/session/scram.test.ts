import { expect, test } from "bun:test";
import { ScramClient } from "../../../../connectors/kafka/session/scram.ts";

const nonce = "rOprNGfwEbeRWgbNEkqO";
const serverFirst =
  "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

test("the exchange of RFC 7677, section 3, comes out as printed there", () => {
  const client = new ScramClient("scram-sha-256", "user", "pencil", nonce);
  expect(client.first).toBe("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  expect(client.final(serverFirst)).toBe(
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  );
  client.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
});

test("a server that cannot prove that it knows the password is refused", () => {
  const client = new ScramClient("scram-sha-256", "user", "pencil", nonce);
  client.final(serverFirst);
  for (const last of [
    "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    "v=",
    "e=other-error",
    "",
  ]) {
    expect(() => client.verify(last)).toThrow("cannot prove");
  }
});

test("a challenge that is not to our nonce, or too weak, or too dear, is refused", () => {
  const client = (): ScramClient => new ScramClient("scram-sha-512", "user", "pencil", "abc");
  expect(() => client().final("r=xyz,s=AAAA,i=4096")).toThrow("not an answer to ours");
  expect(() => client().final("r=abc,s=AAAA,i=4096")).toThrow("not an answer to ours");
  expect(() => client().final("r=abcd,s=,i=4096")).toThrow("not an answer to ours");
  expect(() => client().final("r=abcd,s=AAAA,i=1")).toThrow("1 iterations");
  expect(() => client().final("r=abcd,s=AAAA,i=100000000")).toThrow("iterations");
  expect(() => client().final("r=abcd,s=AAAA,i=x")).toThrow("iterations");
});

test("commas and equals signs in a user's name are escaped", () => {
  expect(new ScramClient("scram-sha-256", "a=b,c", "p", "n").first).toBe("n,,n=a=3Db=2Cc,r=n");
});
