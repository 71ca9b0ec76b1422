import { connect } from "node:net";

/** Longest wait for one answer, in ms: a frozen server must not stop the probing. */
const answerMsMax = 1_000;

/** True if something accepts connections on 127.0.0.1:`port`. */
export async function isListening(port: number): Promise<boolean> {
  return (await ask(port, "", () => true)) !== undefined;
}

/** True if a GET of `path` is answered with `status`. */
export async function answersHttp(port: number, path: string, status: number): Promise<boolean> {
  const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`;
  const answer = await ask(port, request, (text) => text.includes("\r\n"));
  return answer?.startsWith(`HTTP/1.1 ${status}`) ?? false;
}

/** Sends `request`, and gives what came back once `isWhole` says so; undefined if it did not. */
export async function ask(
  port: number,
  request: string,
  isWhole: (answer: string) => boolean,
): Promise<string | undefined> {
  return await new Promise((resolve) => {
    let answer = "";
    const socket = connect({ port, host: "127.0.0.1" });
    const finish = (result: string | undefined): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(answerMsMax, () => finish(undefined));
    socket.once("error", () => finish(undefined));
    socket.once("close", () => finish(undefined));
    socket.once("connect", () => {
      if (request === "") finish(answer);
      else socket.write(request);
    });
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      if (isWhole(answer)) finish(answer);
    });
  });
}
