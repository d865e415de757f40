// Run by `helm test` in a pod of the operator's image: node -e "…" URL.
const url = process.argv[1];
const get = async (path) => {
  const response = await fetch(url + path, { signal: AbortSignal.timeout(5000) });
  return { status: response.status, text: await response.text() };
};
const check = async () => {
  // The Service leads to ready pods only.
  const { status, text } = await get("/metrics");
  if (status !== 200) throw new Error(`/metrics answers ${status}: ${text}`);
  if (!text.includes("policy_violation_build_info")) throw new Error("/metrics has no policy_violation_build_info");
  const up = text.includes("\npolicy_violation_stream_up 1");
  console.log("ready: the Service leads to the metrics");
  console.log(up ? "the alert stream is open" : "WARNING: this replica has no alert stream; is KubeArmor's relay there?");
};
const deadline = Date.now() + 60000;
const tryAgain = (error) => {
  const cause = error.cause ? `: ${error.cause.message}` : "";
  if (Date.now() > deadline) {
    console.error(`${url} is not ready: ${error.message}${cause}`);
    process.exit(1);
  }
  setTimeout(() => check().catch(tryAgain), 1000);
};
check().catch(tryAgain);
