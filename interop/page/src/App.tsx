import { newWebSocketRpcSession } from "capnweb";
import { useEffect, useState } from "react";
import type { LoginError, Profile, PublicApi } from "./api";

export default function App() {
  const [profile, setProfile] = useState<Profile>();
  const [messages, setMessages] = useState<string[]>([]);
  const [problem, setProblem] = useState<string>();

  useEffect(() => {
    let isShown = true;
    const show = (update: () => void) => isShown && update();
    const fail = (thrown: unknown) => show(() => setProblem(inWords(thrown as LoginError)));

    const api = newWebSocketRpcSession<PublicApi>(location.origin.replace("http", "ws") + "/api");
    // One round trip: these calls do not wait for the login.
    const user = api.authenticate("open sesame");
    user.profile().then((it) => show(() => setProfile(it)), fail);
    const listening = user.listen((text) => {
      show(() => setMessages((all) => [...all, text]));
    });
    listening.catch(fail);

    return () => {
      isShown = false;
      // The server stops calling and drops the user, and the connection is closed.
      listening[Symbol.dispose]();
      user[Symbol.dispose]();
      api[Symbol.dispose]();
    };
  }, []);

  if (problem) return <p role="alert">{problem}</p>;
  if (!profile) return <p>…</p>;
  return (
    <>
      <h1>{profile.name}</h1>
      {profile.photoUrl && <img src={profile.photoUrl} alt="" />}
      <ul>
        {messages.map((text, at) => (
          <li key={at}>{text}</li>
        ))}
      </ul>
    </>
  );
}

function inWords(error: LoginError): string {
  switch (error.code) {
    case "unknown_token":
      return "Who are you?";
    default:
      // A call can also fail in other ways, such as a lost connection.
      return (error as Error).message;
  }
}
