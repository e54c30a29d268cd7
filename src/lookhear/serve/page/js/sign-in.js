// The token, where the service asks for one; the service then keeps it in a cookie that scripts cannot read.
import * as api from "./api.js";
import { $ } from "./dom.js";

export const ask = () => $("#sign-in").open || $("#sign-in").showModal();

/** `then` is done once the service has taken the token. */
export function listen(then) {
  $("#sign-in-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await api.signIn($("#token").value);
    } catch (error) {
      $("#token-wrong").textContent = error.status === 401 ? "That is not its token." : error.message;
      return;
    }
    $("#sign-in").close();
    then();
  });
}
