import com.nimbusds.oauth2.sdk.AccessTokenResponse;
import com.nimbusds.oauth2.sdk.RefreshTokenGrant;
import com.nimbusds.oauth2.sdk.TokenRequest;
import com.nimbusds.oauth2.sdk.TokenResponse;
import com.nimbusds.oauth2.sdk.auth.ClientSecretBasic;
import com.nimbusds.oauth2.sdk.auth.Secret;
import com.nimbusds.oauth2.sdk.http.HTTPRequest;
import com.nimbusds.oauth2.sdk.id.ClientID;
import com.nimbusds.oauth2.sdk.token.BearerAccessToken;
import com.nimbusds.oauth2.sdk.token.RefreshToken;
import com.nimbusds.oauth2.sdk.token.Tokens;
import com.nimbusds.oauth2.sdk.util.JSONObjectUtils;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import net.minidev.json.JSONObject;

/** A program that keeps its login in a JSON file beside others that use the same one. */
public class Client {
  private static final Path FILE = Path.of(System.getenv("TOKEN_FILE"));
  private static final URI TOKEN_URL = URI.create(System.getenv("TOKEN_URL"));
  private static final URI API_URL = URI.create(System.getenv("API_URL"));

  private record Login(String accessToken, String refreshToken, double expiresAt) {}

  private static class Refused extends Exception {
    Refused(String said) {
      super(said);
    }
  }

  private static double now() {
    return System.currentTimeMillis() / 1000.0;
  }

  /** The login of the file, or another one where it has ended. */
  private static Login current() throws Exception {
    var kept = JSONObjectUtils.parse(Files.readString(FILE));
    var expiresAt = JSONObjectUtils.getNumber(kept, "expires_at").doubleValue();
    var refreshToken = JSONObjectUtils.getString(kept, "refresh_token");
    if (now() < expiresAt) {
      return new Login(JSONObjectUtils.getString(kept, "access_token"), refreshToken, expiresAt);
    }
    var client = new ClientSecretBasic(new ClientID(System.getenv("CLIENT_ID")), new Secret(System.getenv("CLIENT_SECRET")));
    var grant = new RefreshTokenGrant(new RefreshToken(refreshToken));
    var request = new TokenRequest.Builder(TOKEN_URL, client, grant).build();
    TokenResponse response = TokenResponse.parse(request.toHTTPRequest().send());
    if (!response.indicatesSuccess()) {
      throw new Refused(response.toErrorResponse().getErrorObject().getCode());
    }
    AccessTokenResponse granted = response.toSuccessResponse();
    Tokens tokens = granted.getTokens();
    var next = tokens.getRefreshToken() == null ? refreshToken : tokens.getRefreshToken().getValue();
    var login = new Login(tokens.getAccessToken().getValue(), next, now() + tokens.getAccessToken().getLifetime());
    var beside = Path.of(FILE + "." + ProcessHandle.current().pid());
    var json = Map.<String, Object>of(
        "access_token", login.accessToken(), "refresh_token", login.refreshToken(), "expires_at", login.expiresAt());
    Files.writeString(beside, new JSONObject(json).toJSONString());
    Files.move(beside, FILE, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    return login;
  }

  private static boolean works(Login login) throws Exception {
    var request = new HTTPRequest(HTTPRequest.Method.GET, API_URL);
    request.setAuthorization(new BearerAccessToken(login.accessToken()).toAuthorizationHeader());
    return request.send().getStatusCode() == 200;
  }

  public static void main(String[] arguments) throws Exception {
    int granted = 0;
    int bad = 0;
    String last = "";
    int expiries = Integer.parseInt(System.getenv("EXPIRIES"));
    while (granted < expiries) {
      Login login = null;
      String lost = "";
      for (int tries = 0; login == null && tries < 3; tries++) {
        // Another process may have written a new login meanwhile.
        if (tries > 0) Thread.sleep(1000);
        try {
          login = current();
        } catch (Refused refused) {
          lost = refused.getMessage();
        }
      }
      if (login == null) {
        System.out.printf("{\"granted\":%d,\"bad\":%d,\"lost\":\"%s\"}%n", granted, bad, lost);
        return;
      }
      // Another process may have written the same one again.
      if (!login.accessToken().equals(last)) granted++;
      last = login.accessToken();
      if (!works(login) && now() < login.expiresAt()) bad++;
      Thread.sleep(Math.max(0, (long) Math.ceil((login.expiresAt() - now()) * 1000)));
    }
    System.out.printf("{\"granted\":%d,\"bad\":%d,\"lost\":null}%n", granted, bad);
  }
}
